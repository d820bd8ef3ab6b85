/* What crosses between the two processes of an export. The reader may have been taken over by the
 * files that it reads: the writer takes sizes within bounds, and octets as they are. */
#include "gateway/cli/export.h"

#include <poll.h>

int export_pipe_fill(struct export_pipe *p)
{
	ssize_t n;

	if (p->at > 0) {
		memmove(p->bytes, p->bytes + p->at, p->len - p->at);
		p->len -= p->at;
		p->at = 0;
	}
	if (p->len == sizeof p->bytes)
		return 0; /* a whole item is in it */
	n = read(p->fd, p->bytes + p->len, sizeof p->bytes - p->len);
	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : -errno;
	p->over = n == 0;
	p->len += (size_t)n;
	return 0;
}

int export_pipe_next(struct export_pipe *p, struct export_item *ret_item, const uint8_t **ret_text)
{
	size_t left = p->len - p->at;

	if (left < sizeof *ret_item)
		return 0;
	memcpy(ret_item, p->bytes + p->at, sizeof *ret_item);
	if (ret_item->octets > EXPORT_ITEM_MAX || ret_item->kind < ITEM_RECORDS ||
	    ret_item->kind > ITEM_END)
		return -EPROTO;
	if (left - sizeof *ret_item < ret_item->octets)
		return 0;
	*ret_text = p->bytes + p->at + sizeof *ret_item;
	p->at += sizeof *ret_item + ret_item->octets;
	return 1;
}

/* A signal between the question and the wait is seen a second later. */
#define WAIT_MS 1000

int export_pipe_run(struct export_pipe *p, export_taker take, void *arg)
{
	struct pollfd ready = {.fd = p->fd, .events = POLLIN};
	struct export_item item;
	const uint8_t *text;
	int e = 0, got;

	while (e == 0 && !p->over && !export_stopped()) {
		if (poll(&ready, 1, WAIT_MS) <= 0)
			continue;
		e = export_pipe_fill(p);
		while (e == 0 && (got = export_pipe_next(p, &item, &text)) != 0)
			e = got < 0 ? got : take(arg, &item, text);
	}
	return e;
}

/* Each value that is set: its number (1 octet), then 8 octets, or a length (2) and a text. */
void export_row_put(struct wr *w, const struct trail_record *r)
{
	struct field_values v;

	fields_of(&v, r, true);
	for (enum field_id id = 0; id < FIELDS; id++) {
		char text[4 * AUDIT_DETAIL_SIZE];
		ssize_t len;

		if (!field_is_set(&v, id))
			continue;
		wr_be(w, 1, id);
		if (fields[id].type == FIELD_NUMBER) {
			wr_be(w, 8, v.of[id].number);
			continue;
		}
		len = escape_copy(ESCAPE_TABLE, v.of[id].text, text, sizeof text);
		wr_be(w, 2, (uint64_t)MAX(len, 0));
		wr_bytes(w, text, (size_t)MAX(len, 0));
	}
}

bool export_row_get(const uint8_t *bytes, size_t len, struct export_row *ret_row)
{
	struct rd r = rd_over(bytes, len);

	ret_row->set = 0;
	while (rd_left(&r) > 0 && !r.failed) {
		uint64_t id = rd_be(&r, 1);

		if (id >= FIELDS)
			return false;
		ret_row->set |= UINT64_C(1) << id;
		if (fields[id].type == FIELD_NUMBER) {
			ret_row->number[id] = rd_be(&r, 8);
			continue;
		}
		ret_row->len[id] = rd_be(&r, 2);
		ret_row->text[id] = (const char *)rd_bytes(&r, ret_row->len[id]);
	}
	return !r.failed;
}
