/* Invitations to join: a code of 128 random bits, shown once, good for one initiator and one use.
 * The file of one, in the folder CA_INVITATIONS, holds what is derived from the code, sealed, and
 * never the code. Made on the command line, used up by the monitor, checked by the authenticator.
 */
#pragma once

#include "auth/sealed.h"
#include "gateway/base/iscsi_name.h"

#define INVITATION_SECRET_SIZE 16
#define INVITATION_ID_SIZE     16
#define INVITATION_KEY_SIZE    32
#define INVITATION_PLACE_SIZE  264 /* "HOST:PORT" or "[ADDRESS]:PORT" */
#define INVITATION_LETTERS     28  /* 26 of the secret, 2 to find a slip of the hand */
#define INVITATION_CODE_SIZE   (INVITATION_PLACE_SIZE + 1 + INVITATION_LETTERS)
#define INVITATION_NAME_SIZE   (2 * INVITATION_ID_SIZE + sizeof ".used") /* of its file */
#define INVITATIONS_OPEN_MAX   64
#define INVITATIONS_MAX	       1024	    /* with those that are over */
#define INVITATIONS_OVER_MAX   512	    /* younger than those, whatever their time */
#define INVITATION_KEPT_S      (30 * 86400) /* so long it is known that a code was used */

/* --- the code -------------------------------------------------------------------------------- */

struct invitation_code {
	char place[INVITATION_PLACE_SIZE]; /* as it was written, in lower case */
	char host[INVITATION_PLACE_SIZE];  /* without brackets */
	uint16_t port;
	uint8_t secret[INVITATION_SECRET_SIZE];
};
/* "HOST:PORT"; -EINVAL with a static sentence. */
int invitation_place_parse(const char *text, struct invitation_code *ret,
			   const char **ret_why) MUST_CHECK;
/* Upper case, and O, I and L for the digits that they look like, are taken; hyphens between letters
 * are not looked at. -EINVAL, with a static sentence. */
int invitation_code_parse(const char *text, struct invitation_code *ret,
			  const char **ret_why) MUST_CHECK;
void invitation_code_write(const struct invitation_code *code, char ret[INVITATION_CODE_SIZE]);
/* Who is it, and what proves that one has the code. */
void invitation_derive(const uint8_t secret[INVITATION_SECRET_SIZE],
		       uint8_t ret_id[INVITATION_ID_SIZE], uint8_t ret_key[INVITATION_KEY_SIZE]);

/* --- files ----------------------------------------------------------------------------------- */

struct invitation {
	uint8_t id[INVITATION_ID_SIZE];
	int64_t made_s, until_s;
	char initiator[ISCSI_NAME_SIZE];
	bool used; /* by its file's name */
};
/* The part in clear of a sealed file; believed when its seal is open. -EBADMSG. */
int invitation_parse(const struct sealed_file *f, struct invitation *ret) MUST_CHECK;
void invitation_name(const struct invitation *i, char ret[INVITATION_NAME_SIZE]);
/* All below take the open folder of the CA, and return 0 or -errno. */
int invitation_put(int ca_fd, const struct invitation *i, const uint8_t key[INVITATION_KEY_SIZE],
		   const struct sealed_keys *keys) MUST_CHECK;
/* Durably; -ENOENT: it is not open (any more). */
int invitation_use(int ca_fd, const uint8_t id[INVITATION_ID_SIZE]) MUST_CHECK;
int invitation_remove(int ca_fd, const struct invitation *i) MUST_CHECK;

struct invitations {
	struct invitation *list; /* the youngest first */
	size_t count;
};
/* In clear, without the key; the seals are not looked at. What is no invitation is left out. */
int invitations_load(int ca_fd, struct invitations *ret) MUST_CHECK;
/* A sealed memfd with the files of all of them, as AUTH_CA has it; or -errno. */
int invitations_gather(int ca_fd, const struct invitations *all) MUST_CHECK;
void invitations_free(struct invitations *i);
/* Its file is to go. `younger`: how many of all are (its place in the list). Else those that are
 * over would crowd out, one day, one that is open. */
bool invitation_is_forgotten(const struct invitation *i, size_t younger, int64_t now_s);
static inline bool invitation_is_open(const struct invitation *i, int64_t now_s)
{
	return !i->used && i->until_s > now_s;
}
