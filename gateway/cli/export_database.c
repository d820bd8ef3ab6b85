/* The writer of an export to an SQLite database: rows and checkpoint in one transaction. Values
 * are bound to prepared statements, never put into text. Trusts the database as its owner does;
 * one that is none of ours is refused. */
#include <fcntl.h>
#include <libgen.h>
#include <sodium.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include "gateway/base/fd.h"
#include "gateway/cli/export.h"

#define APPLICATION_ID 0x53504155 /* "SPAU" */
#define SCHEMA_VERSION 2
#define SCHEMA_OLD     1 /* a checkpoint without the trail */
/* Rows of one transaction, at most. */
#define COMMIT_ROWS 2000
#define BUSY_MS	    10000

/* The columns are the fields, under their names; who asked stands with the session, for its
 * commands. */
static const char schema_sessions[] =
	"CREATE TABLE sessions (run TEXT NOT NULL, connection INTEGER NOT NULL, initiator TEXT, "
	"target TEXT, peer_ip TEXT, peer_port INTEGER, first_seq INTEGER NOT NULL, "
	"PRIMARY KEY (run, connection)) WITHOUT ROWID;"
	"CREATE TABLE checkpoint (name TEXT PRIMARY KEY, next_seq INTEGER NOT NULL, "
	"time_ns INTEGER NOT NULL, run INTEGER NOT NULL, trail TEXT) WITHOUT ROWID;"
	"CREATE INDEX records_time ON records (time_ns);"
	"CREATE INDEX records_event ON records (event, time_ns) WHERE event IS NOT NULL;"
	"CREATE INDEX records_lba ON records (lun, lba) WHERE lba IS NOT NULL;"
	"CREATE INDEX records_connection ON records (run, connection, seq);"
	"CREATE INDEX sessions_initiator ON sessions (initiator);";

struct database {
	const struct export_plan *plan;
	sqlite3 *db;
	sqlite3_stmt *record, *session, *checkpoint;
	struct export_position at;
	uint64_t rows; /* of the transaction that is open */
	bool open, changed;
	uint32_t status; /* of the reader, once it is done */
};

static int cannot(const struct database *d, const char *what)
{
	return cli_cannot(d->plan->cli, "%s: %s: %s", d->plan->output, what,
			  d->db ? sqlite3_errmsg(d->db) : "no memory");
}

static bool run(struct database *d, const char *sql)
{
	return sqlite3_exec(d->db, sql, NULL, NULL, NULL) == SQLITE_OK;
}

static bool is_subject(enum field_id id)
{
	return id == FIELD_INITIATOR || id == FIELD_TARGET || id == FIELD_PEER_IP ||
	       id == FIELD_PEER_PORT;
}

/* Names are ours: fields[] alone. */
static bool schema_make(struct database *d)
{
	char sql[8192];
	struct wr w = wr_over(sql, sizeof sql - 1);

	export_printf(&w, "CREATE TABLE records (");
	for (enum field_id id = 0; id < FIELDS; id++)
		export_printf(&w, "%s%s %s", id ? ", " : "", fields[id].name,
			      id == FIELD_SEQ			? "INTEGER PRIMARY KEY"
			      : fields[id].type == FIELD_NUMBER ? "INTEGER"
								: "TEXT");
	export_printf(&w, ");");
	wr_bytes(&w, schema_sessions, sizeof schema_sessions - 1);
	export_printf(&w, "CREATE VIEW log AS SELECT ");
	for (enum field_id id = 0; id < FIELDS; id++)
		export_printf(&w, is_subject(id) ? "%scoalesce(r.%s, s.%s) AS %s" : "%sr.%s",
			      id ? ", " : "", fields[id].name, fields[id].name, fields[id].name);
	export_printf(&w,
		      " FROM records r LEFT JOIN sessions s USING (run, connection);"
		      "PRAGMA application_id = %d; PRAGMA user_version = %d;",
		      APPLICATION_ID, SCHEMA_VERSION);
	assert(!w.failed);
	*w.p = '\0';
	return run(d, "BEGIN IMMEDIATE") && run(d, sql) && run(d, "COMMIT");
}

static int64_t number_of(struct database *d, const char *sql)
{
	sqlite3_stmt *s = NULL;
	int64_t number = -1;

	if (sqlite3_prepare_v2(d->db, sql, -1, &s, NULL) == SQLITE_OK &&
	    sqlite3_step(s) == SQLITE_ROW)
		number = sqlite3_column_int64(s, 0);
	(void)sqlite3_finalize(s);
	return number;
}

/* One of before checkpoints named the trail. */
static bool schema_renew(struct database *d)
{
	char sql[128];

	(void)snprintf(sql, sizeof sql,
		       "ALTER TABLE checkpoint ADD COLUMN trail TEXT; PRAGMA user_version = %d;",
		       SCHEMA_VERSION);
	return run(d, "BEGIN IMMEDIATE") && run(d, sql) && run(d, "COMMIT");
}

static int schema_check(struct database *d)
{
	int64_t version;

	if (number_of(d, "SELECT count(*) FROM sqlite_master") == 0)
		return schema_make(d) ? EXIT_DONE : cannot(d, "can't make the tables");
	version = number_of(d, "PRAGMA user_version");
	if (number_of(d, "PRAGMA application_id") == APPLICATION_ID) {
		if (version == SCHEMA_VERSION)
			return EXIT_DONE;
		if (version == SCHEMA_OLD)
			return schema_renew(d) ? EXIT_DONE : cannot(d, "can't renew the tables");
	}
	return cli_cannot(d->plan->cli,
			  "%s is there, and no database that sallyport of this version made: name "
			  "another file",
			  d->plan->output);
}

static bool prepare(struct database *d)
{
	char sql[4096];
	struct wr w = wr_over(sql, sizeof sql - 1);

	export_printf(&w, "INSERT INTO records VALUES (?");
	for (enum field_id id = 1; id < FIELDS; id++)
		export_printf(&w, ", ?");
	export_printf(&w, ")");
	*w.p = '\0';
	return sqlite3_prepare_v3(d->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &d->record, NULL) ==
		       SQLITE_OK &&
	       sqlite3_prepare_v3(d->db, "INSERT OR IGNORE INTO sessions VALUES (?,?,?,?,?,?,?)",
				  -1, SQLITE_PREPARE_PERSISTENT, &d->session, NULL) == SQLITE_OK &&
	       sqlite3_prepare_v3(d->db, "INSERT OR REPLACE INTO checkpoint VALUES (?,?,?,?,?)", -1,
				  SQLITE_PREPARE_PERSISTENT, &d->checkpoint, NULL) == SQLITE_OK;
}

/* NULL: not known. */
static bool trail_of(sqlite3_stmt *s, int column, uint8_t ret[TRAIL_ID_SIZE])
{
	const char *hex = (const char *)sqlite3_column_text(s, column);
	size_t len;

	return !hex ||
	       (sodium_hex2bin(ret, TRAIL_ID_SIZE, hex, strlen(hex), NULL, &len, NULL) == 0 &&
		len == TRAIL_ID_SIZE);
}

static int position_read(struct database *d, struct export_position *ret)
{
	sqlite3_stmt *s = NULL;
	bool right = true;
	int e = sqlite3_prepare_v2(
		d->db, "SELECT next_seq, time_ns, run, trail FROM checkpoint WHERE name = ?", -1,
		&s, NULL);

	if (e == SQLITE_OK)
		e = sqlite3_bind_text(s, 1, d->plan->name, -1, SQLITE_STATIC);
	if (e == SQLITE_OK && (e = sqlite3_step(s)) == SQLITE_ROW) {
		*ret = (struct export_position){.next = (uint64_t)sqlite3_column_int64(s, 0),
						.time_ns = (uint64_t)sqlite3_column_int64(s, 1),
						.run = (uint64_t)sqlite3_column_int64(s, 2)};
		right = trail_of(s, 3, ret->trail);
	}
	(void)sqlite3_finalize(s);
	if (!right)
		return cli_cannot(
			d->plan->cli,
			"%s: checkpoint %s names no trail: take another name, and another "
			"file",
			d->plan->output, d->plan->name);
	return e == SQLITE_ROW || e == SQLITE_DONE ? EXIT_DONE : cannot(d, "no checkpoint");
}

static void database_close(struct database *d)
{
	(void)sqlite3_finalize(d->record);
	(void)sqlite3_finalize(d->session);
	(void)sqlite3_finalize(d->checkpoint);
	(void)sqlite3_close(d->db);
}

static int database_open(struct database *d)
{
	int status;

	if (sqlite3_open_v2(d->plan->place, &d->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW,
			    NULL) != SQLITE_OK)
		return cannot(d, "can't be opened");
	(void)sqlite3_busy_timeout(d->db, BUSY_MS);
	if (!run(d, "PRAGMA trusted_schema = OFF; PRAGMA synchronous = FULL"))
		return cannot(d, "can't be read");
	if ((status = schema_check(d)) != EXIT_DONE)
		return status;
	return prepare(d) ? EXIT_DONE : cannot(d, "other tables than this version's");
}

/* Makes the file, private as every other output, and the tables; reads the checkpoint. */
int export_database_open(struct export_plan *plan)
{
	struct database d = {.plan = plan};
	OWNED_FD fd = open(plan->output, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	int status;

	if (fd < 0 || !realpath(plan->output, plan->place))
		return cli_cannot(plan->cli, "--output %s: %s", plan->output, strerror(errno));
	status = database_open(&d);
	if (status == EXIT_DONE && plan->name)
		status = position_read(&d, &plan->from);
	database_close(&d);
	return status;
}

/* --- rows ----------------------------------------------------------------------------------- */

static bool value_bind(sqlite3_stmt *s, int at, const struct export_row *row, enum field_id id)
{
	if (!(row->set >> id & 1))
		return sqlite3_bind_null(s, at) == SQLITE_OK;
	if (fields[id].type == FIELD_NUMBER) /* from 2^63 on: its two's complement */
		return sqlite3_bind_int64(s, at, (int64_t)row->number[id]) == SQLITE_OK;
	return sqlite3_bind_text(s, at, row->text[id], (int)row->len[id], SQLITE_STATIC) ==
	       SQLITE_OK;
}

static bool step(sqlite3_stmt *s)
{
	int e = sqlite3_step(s);

	(void)sqlite3_reset(s);
	return e == SQLITE_DONE;
}

static bool session_put(struct database *d, const struct export_row *row)
{
	static const enum field_id columns[] = {FIELD_RUN,    FIELD_CONNECTION, FIELD_INITIATOR,
						FIELD_TARGET, FIELD_PEER_IP,	FIELD_PEER_PORT,
						FIELD_SEQ};

	for (size_t i = 0; i < ARRAY_LEN(columns); i++)
		if (!value_bind(d->session, (int)i + 1, row, columns[i]))
			return false;
	return step(d->session);
}

static bool row_put(struct database *d, struct export_row *row)
{
	bool of_session = row->set >> FIELD_CONNECTION & 1 && !(row->set >> FIELD_EVENT_ID & 1);

	if (of_session && row->set >> FIELD_INITIATOR & 1) {
		if (!session_put(d, row))
			return false;
		for (enum field_id id = 0; id < FIELDS; id++)
			if (is_subject(id))
				row->set &= ~(UINT64_C(1) << id);
	}
	for (enum field_id id = 0; id < FIELDS; id++)
		if (!value_bind(d->record, (int)id + 1, row, id))
			return false;
	return step(d->record);
}

static bool begin(struct database *d)
{
	if (d->open)
		return true;
	d->open = run(d, "BEGIN IMMEDIATE");
	return d->open;
}

static bool commit(struct database *d)
{
	char trail[2 * TRAIL_ID_SIZE + 1];
	sqlite3_stmt *s = d->checkpoint;

	(void)sodium_bin2hex(trail, sizeof trail, d->at.trail, sizeof d->at.trail);
	if (!d->changed)
		return true;
	if (!begin(d))
		return false;
	if (d->plan->name &&
	    (sqlite3_bind_text(s, 1, d->plan->name, -1, SQLITE_STATIC) != SQLITE_OK ||
	     sqlite3_bind_int64(s, 2, (int64_t)d->at.next) != SQLITE_OK ||
	     sqlite3_bind_int64(s, 3, (int64_t)d->at.time_ns) != SQLITE_OK ||
	     sqlite3_bind_int64(s, 4, (int64_t)d->at.run) != SQLITE_OK ||
	     sqlite3_bind_text(s, 5, trail, -1, SQLITE_TRANSIENT) != SQLITE_OK || !step(s)))
		return false;
	d->open = d->changed = false;
	d->rows = 0;
	return run(d, "COMMIT");
}

/* 1: the reader is done; -EIO: the database says why; -EPROTO. */
static int take(void *arg, const struct export_item *item, const uint8_t *text)
{
	struct database *d = arg;
	static struct export_row row;

	d->status = item->status;
	if (item->octets > 0) {
		if (!export_row_get(text, item->octets, &row))
			return -EPROTO;
		if (!begin(d) || !row_put(d, &row))
			return -EIO;
		d->rows++;
	}
	if (item->kind != ITEM_END || item->status != EXIT_CANNOT) {
		d->changed = d->changed || memcmp(&d->at, &item->after, sizeof d->at) != 0;
		d->at = item->after;
	}
	if ((item->kind != ITEM_RECORDS || d->rows >= COMMIT_ROWS) && !commit(d))
		return -EIO;
	return item->kind == ITEM_END;
}

static int rows_take(struct database *d, struct export_pipe *p)
{
	int e = export_pipe_run(p, take, d);

	if (e == 1)
		return (int)d->status;
	if (e == 0 && !commit(d))
		e = -EIO;
	if (e == -EIO && sqlite3_errcode(d->db) == SQLITE_CONSTRAINT)
		return cli_cannot(
			d->plan->cli,
			"%s has these records already: name the checkpoint that they were "
			"exported with, or another file",
			d->plan->output);
	if (e < 0)
		return cannot(d, "can't be written");
	return export_stopped() ? EXIT_DONE : EXIT_CANNOT;
}

int export_to_database(struct export_plan *plan, struct export_pipe *p)
{
	struct database d = {.plan = plan, .at = plan->from};
	char path[PATH_MAX];
	OWNED_FD folder = -1;
	int status;

	string_copy(path, sizeof path, plan->place);
	folder = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return cli_cannot(plan->cli, "%s: %s", plan->output, strerror(errno));
	status = database_open(&d);
	if (status == EXIT_DONE)
		status = export_confine(plan, folder);
	if (status == EXIT_DONE)
		status = rows_take(&d, p);
	database_close(&d); /* what is not committed is rolled back */
	return status;
}
