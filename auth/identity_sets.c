/* Keys of portals as they are taken up: those in use, those on their way, and those of before,
 * which logins that are under way may still need. In the authenticator; trusts the monitor. */
#include <stdio.h>
#include "auth/identities.h"
#include "gateway/base/log.h"

void identity_sets_add(struct identity_sets *s, const struct identity_source *source)
{
	const struct why why = {s->why, sizeof s->why};
	const uint32_t number = source->info.identity;

	/* Its file may hold the next key already: what is in use is not read again. */
	if (identities_keep(&s->next, &s->now, number) ||
	    identities_keep(&s->next, &s->before, number))
		return;
	if (source->info.kind == AUTH_IDENTITY_SEALED &&
	    store_key_read(source->opens_fd, source->store_key) < 0)
		(void)why_say(&why, -EIO, "the key file can't be read, or is not of %d octets",
			      STORE_KEY_SIZE);
	else
		IGNORE_RESULT(identities_add(&s->next, source, &why)); /* it says why */
	sodium_memzero(source->store_key, STORE_KEY_SIZE);
	if (*s->why)
		log_error("%s", s->why);
}

void identity_sets_end(struct identity_sets *s, uint32_t count)
{
	if (s->next.count != count && !*s->why)
		(void)snprintf(s->why, sizeof s->why, "not all keys of portals have come");
	s->staged = true;
}

/* Those of before go when nobody begins with them any more: at the next look for what is over. */
void identity_sets_take_up(struct identity_sets *s)
{
	if (!s->staged)
		return;
	identities_clear(&s->before);
	s->before = s->now;
	s->now = s->next;
	s->next = (struct identities){0};
}

void identity_sets_forget(struct identity_sets *s)
{
	identities_clear(&s->next);
	s->staged = false;
	s->why[0] = '\0';
}

struct identity identity_sets_find(const struct identity_sets *s, uint32_t number)
{
	struct identity i = identities_take(&s->now, number);

	if (i.number == 0)
		i = identities_take(&s->before, number);
	i.number = number;
	return i;
}

void identity_sets_close(struct identity_sets *s)
{
	identities_clear(&s->now);
	identities_clear(&s->before);
	identities_clear(&s->next);
}
