/* The table of mode pages, and of what can be changed in them. Runs in the session. What is
 * said here of caching, write protection and sense data is made true by medium.c, gate.c
 * and sense.c. */
#include "gateway/scsi/mode_pages.h"
#include "gateway/base/bytes.h"

#define PS  0x80
#define SPF 0x40

enum { CACHING = 0x08, CONTROL = 0x0a };

/* Bits of the pages. */
enum {
	WCE = 0x04,	       /* caching, octet 2 */
	TST_EACH_NEXUS = 0x20, /* control, octet 2: a task set for each I_T nexus */
	D_SENSE = 0x04,
	GLTSD = 0x02,			/* no log parameter is saved */
	UNRESTRICTED_REORDERING = 0x10, /* octet 3 */
	SWP = 0x08,			/* octet 4 */
	TAS = 0x40,			/* octet 5 */
	DEXCPT = 0x08,			/* informational exceptions, octet 2: none are reported */
};

static const struct mode_page pages[] = {
	/* Read-write error recovery: we reassign nothing, and retry nothing of our own. */
	{0x01, 0, 12, .defaults = {0}},
	/* WCE=1: a write is answered when the page cache has it. */
	{CACHING, 0, 20, .is_saved = true, .defaults = {[2] = WCE}},
	{CONTROL, 0, 12, .is_saved = true,
	 .defaults = {[2] = TST_EACH_NEXUS | GLTSD, UNRESTRICTED_REORDERING}},
	/* Control extension */
	{CONTROL, 1, 32, .defaults = {0}},
	{0x1c, 0, 12, .defaults = {[2] = DEXCPT}},
};

/* What can be changed: the octets of the arbiter say where a disk is not as by itself. */
static const struct field {
	uint8_t page, octet, mask;
	uint8_t flips; /* enum mode_bit: the bit is not its default */
} fields[] = {
	{CACHING, 2, WCE, MODE_NO_WRITE_CACHE},
	{CONTROL, 2, D_SENSE, MODE_D_SENSE},
	{CONTROL, 4, SWP, MODE_SWP},
	{CONTROL, 5, TAS, MODE_TAS},
};

const struct mode_page *mode_pages(size_t *ret_count)
{
	*ret_count = ARRAY_LEN(pages);
	return pages;
}

static const uint8_t *modes_of(const struct scsi_nexus *n, const struct scsi_lun *unit)
{
	return n->arbiter->luns[unit->number].state.modes;
}

static bool is_set(const struct scsi_nexus *n, const struct scsi_lun *unit, enum mode_bit bit)
{
	return (modes_of(n, unit)[0] & bit) != 0;
}

bool mode_write_cache(const struct scsi_nexus *n, const struct scsi_lun *unit)
{
	return !unit->write_through && !is_set(n, unit, MODE_NO_WRITE_CACHE);
}

bool mode_d_sense(const struct scsi_nexus *n, const struct scsi_lun *unit)
{
	return is_set(n, unit, MODE_D_SENSE);
}

bool mode_swp(const struct scsi_nexus *n, const struct scsi_lun *unit)
{
	return is_set(n, unit, MODE_SWP);
}

bool mode_tas(const struct scsi_nexus *n, const struct scsi_lun *unit)
{
	return is_set(n, unit, MODE_TAS);
}

/* Where the policy says that there is no write cache, nobody switches it on. */
static bool is_fixed(const struct scsi_lun *unit, const struct field *f)
{
	return f->flips == MODE_NO_WRITE_CACHE && unit->write_through;
}

/* P3: who may only read the disk changes nothing for those who write it. */
static bool may_change(const struct scsi_lun *unit, const struct field *f)
{
	return unit->writable && !is_fixed(unit, f);
}

static void write_defaults(const struct scsi_lun *unit, const struct mode_page *page,
			   uint8_t ret[MODE_PAGE_MAX])
{
	memcpy(ret, page->defaults, MODE_PAGE_MAX);
	if (page->code == CACHING && unit->write_through)
		ret[2] &= (uint8_t)~WCE;
}

static void write_values(const struct scsi_task *task, const struct mode_page *page,
			 enum page_control control, uint8_t ret[MODE_PAGE_MAX])
{
	const uint8_t *modes = modes_of(task->nexus, task->unit);
	bool changeable = control == PAGE_CHANGEABLE;
	uint8_t flipped = 0;

	memset(ret, 0, MODE_PAGE_MAX);
	if (!changeable)
		write_defaults(task->unit, page, ret);
	if (control == PAGE_CURRENT)
		flipped = modes[0];
	else if (control == PAGE_SAVED)
		flipped = modes[ARBITER_MODES_EACH];
	for (size_t i = 0; i < ARRAY_LEN(fields) && page->subpage == 0; i++) {
		const struct field *f = &fields[i];

		if (f->page != page->code)
			continue;
		if (changeable ? may_change(task->unit, f)
			       : (flipped & f->flips) != 0 && !is_fixed(task->unit, f))
			ret[f->octet] ^= f->mask;
	}
}

size_t mode_page_header(const struct mode_page *page)
{
	return page->subpage == 0 ? 2 : 4;
}

size_t mode_page_write(const struct scsi_task *task, const struct mode_page *page,
		       enum page_control control, uint8_t ret[MODE_PAGE_MAX])
{
	size_t header = mode_page_header(page);

	write_values(task, page, control, ret);
	ret[0] = page->code | (page->is_saved ? PS : 0);
	if (page->subpage != 0) {
		ret[0] |= SPF;
		ret[1] = page->subpage;
	}
	put_be(ret + header / 2, header / 2, page->len - header);
	return page->len;
}

/* Bits that this nexus can't change have to be as they are. */
static int check_fixed(const struct scsi_task *task, const struct mode_page *page,
		       const uint8_t *octets, unsigned *ret_bit)
{
	uint8_t current[MODE_PAGE_MAX], changeable[MODE_PAGE_MAX];

	(void)mode_page_write(task, page, PAGE_CURRENT, current);
	(void)mode_page_write(task, page, PAGE_CHANGEABLE, changeable);
	for (size_t i = mode_page_header(page); i < page->len; i++) {
		unsigned wrong = (octets[i] ^ current[i]) & ~(unsigned)changeable[i];

		if (wrong != 0) {
			*ret_bit = 31 - (unsigned)__builtin_clz(wrong);
			return (int)i;
		}
	}
	return -1;
}

int mode_page_take(const struct scsi_task *task, const struct mode_page *page,
		   const uint8_t *octets, struct mode_change *change, unsigned *ret_bit)
{
	int wrong = check_fixed(task, page, octets, ret_bit);

	if (wrong >= 0 || page->subpage != 0)
		return wrong;
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		const struct field *f = &fields[i];

		if (f->page != page->code || !may_change(task->unit, f))
			continue;
		change->mask[0] |= f->flips;
		change->values[0] &= (uint8_t)~f->flips;
		if ((octets[f->octet] ^ page->defaults[f->octet]) & f->mask)
			change->values[0] |= f->flips;
	}
	return -1;
}
