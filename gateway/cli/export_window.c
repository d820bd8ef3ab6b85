/* The window of a live export. The writer's own memory; what the messages say is hostile and
 * never looked at. */
#include "gateway/cli/export_window.h"

#include <stdio.h>

/* "123456 " before a message. */
#define FRAME_ROOM 24

bool window_has_room(const struct window *w)
{
	return w->count < WINDOW_MESSAGES &&
	       WINDOW_OCTETS - w->used >= EXPORT_MESSAGE_MAX + FRAME_ROOM;
}

void window_add(struct window *w, const struct export_item *item, const uint8_t *text, bool framed)
{
	assert(window_has_room(w) && item->octets <= EXPORT_MESSAGE_MAX);
	if (framed && item->octets > 0)
		w->used += (size_t)snprintf((char *)w->bytes + w->used, FRAME_ROOM, "%u ",
					    item->octets);
	memcpy(w->bytes + w->used, text, item->octets);
	w->used += item->octets;
	w->messages[w->count++] = (struct window_message){w->used, item->after};
	if (w->count == 1 && w->used == 0) /* nothing to wait for */
		window_acknowledged(w, 0);
}

size_t window_next(const struct window *w, bool one, const uint8_t **ret_bytes)
{
	size_t end = w->used;

	*ret_bytes = w->bytes + w->sent;
	for (size_t i = 0; one && i < w->count; i++) {
		if (w->messages[i].end <= w->sent)
			continue;
		end = w->messages[i].end;
		break;
	}
	return end - w->sent;
}

void window_sent(struct window *w, size_t octets)
{
	assert(octets <= w->used - w->sent);
	w->sent += octets;
}

void window_acknowledged(struct window *w, size_t outstanding)
{
	size_t upto = w->sent - MIN(outstanding, w->sent), done = 0, octets;

	while (done < w->count && w->messages[done].end <= upto)
		done++;
	if (done == 0)
		return;
	w->at = w->messages[done - 1].after;
	octets = w->messages[done - 1].end;
	memmove(w->bytes, w->bytes + octets, w->used - octets);
	w->used -= octets;
	w->sent -= octets;
	memmove(w->messages, w->messages + done, (w->count - done) * sizeof w->messages[0]);
	w->count -= done;
	for (size_t i = 0; i < w->count; i++)
		w->messages[i].end -= octets;
}

void window_again(struct window *w)
{
	w->sent = 0;
}
