/* Records in the Elastic Common Schema and in the Open Cybersecurity Schema Framework: one
 * object a line. What a schema has no name for stands under our own names below "sallyport"
 * and "unmapped". Used by the review; records are hostile. */
#include "gateway/audit/export.h"

#include <stdio.h>
#include "gateway/audit/json_out.h"

#define PRODUCT "sallyport"
#define VENDOR	"Sallyport"

const char *const ecs_names[FIELDS] = {
	[FIELD_TIME] = "@timestamp",	 [FIELD_SEQ] = "event.sequence",
	[FIELD_EVENT] = "event.action",	 [FIELD_COMMAND] = "event.action",
	[FIELD_REASON] = "event.reason", [FIELD_INITIATOR] = "user.name",
	[FIELD_PEER_IP] = "source.ip",	 [FIELD_PEER_PORT] = "source.port",
	[FIELD_DETAIL] = "message",
};

const char *const ocsf_names[FIELDS] = {
	[FIELD_SEQ] = "metadata.sequence",
	[FIELD_EVENT] = "metadata.event_code",
	[FIELD_REASON] = "status_detail",
	[FIELD_DETAIL] = "message",
	[FIELD_COUNT] = "count",
	[FIELD_INITIATOR] = "actor.user.name",
	[FIELD_PEER_IP] = "src_endpoint.ip",
	[FIELD_PEER_PORT] = "src_endpoint.port",
	[FIELD_TARGET] = "dst_endpoint.name",
};

/* Members of the object `group` ("event."); "": of the outermost one. */
static void group(struct json_out *j, const char *const *names, const char *group_name,
		  const struct field_values *v)
{
	size_t len = strlen(group_name);

	for (enum field_id id = 0; id < FIELDS; id++) {
		if (!names[id] || !field_is_set(v, id) ||
		    strncmp(names[id], group_name, len) != 0 || strchr(names[id] + len, '.'))
			continue;
		json_field(j, names[id] + len, v, id);
	}
}

/* What the schema has no name for. */
static void rest(struct json_out *j, const char *name, const char *const *names,
		 const struct field_values *v)
{
	json_open(j, name, '{');
	for (enum field_id id = 0; id < FIELDS; id++) {
		if (!names[id] && field_is_set(v, id))
			json_field(j, fields[id].name, v, id);
	}
	json_close(j, '}');
}

static const char *text_of(const struct field_values *v, enum field_id id, const char *otherwise)
{
	return field_is_set(v, id) ? v->of[id].text : otherwise;
}

/* --- ECS ------------------------------------------------------------------------------------ */

static void ecs_list(struct json_out *j, const char *name, const char *const texts[2])
{
	json_open(j, name, '[');
	for (size_t i = 0; i < 2 && texts[i]; i++)
		json_text(j, NULL, texts[i]);
	json_close(j, ']');
}

static void ecs_event(struct json_out *j, const struct export_class *class,
		      const struct field_values *v)
{
	static const char *const outcomes[] = {"unknown", "success", "failure"};

	json_open(j, "event", '{');
	json_plain(j, "kind", class->ecs_kind);
	ecs_list(j, "category", class->ecs_category);
	ecs_list(j, "type", class->ecs_type);
	json_plain(j, "outcome", outcomes[class->outcome]);
	json_plain(j, "module", PRODUCT);
	json_plain(j, "dataset", PRODUCT ".audit");
	if (field_is_set(v, FIELD_LATENCY_US)) /* nanoseconds, from 32 bits of microseconds */
		json_number(j, "duration", v->of[FIELD_LATENCY_US].number * 1000);
	group(j, ecs_names, "event.", v);
	json_close(j, '}');
}

static void ecs_related(struct json_out *j, const struct field_values *v)
{
	const char *ip[2] = {text_of(v, FIELD_PEER_IP, NULL)};
	const char *user[2] = {text_of(v, FIELD_INITIATOR, NULL), text_of(v, FIELD_USER, NULL)};

	if (!user[0]) {
		user[0] = user[1];
		user[1] = NULL;
	}
	json_open(j, "related", '{');
	if (ip[0])
		ecs_list(j, "ip", ip);
	if (user[0])
		ecs_list(j, "user", user);
	json_close(j, '}');
}

static void ecs_group(struct json_out *j, const char *name, const char *group_name,
		      const struct field_values *v)
{
	json_open(j, name, '{');
	group(j, ecs_names, group_name, v);
	json_close(j, '}');
}

void export_ecs(struct wr *w, const struct trail_record *r, const struct field_values *v)
{
	struct export_class class = export_class(r);
	struct json_out j = {w, false};

	json_open(&j, NULL, '{');
	group(&j, ecs_names, "", v);
	json_open(&j, "ecs", '{');
	json_plain(&j, "version", EXPORT_ECS_VERSION);
	json_close(&j, '}');
	ecs_event(&j, &class, v);
	json_open(&j, "observer", '{');
	json_plain(&j, "vendor", VENDOR);
	json_plain(&j, "product", PRODUCT);
	json_plain(&j, "version", SALLYPORT_VERSION);
	json_close(&j, '}');
	if (field_is_set(v, FIELD_INITIATOR))
		ecs_group(&j, "user", "user.", v);
	if (field_is_set(v, FIELD_PEER_IP))
		ecs_group(&j, "source", "source.", v);
	ecs_related(&j, v);
	rest(&j, PRODUCT, ecs_names, v);
	json_close(&j, '}');
}

/* --- OCSF ----------------------------------------------------------------------------------- */

static const char *class_name(uint16_t class)
{
	static const struct {
		uint16_t class;
		const char *name;
	} names[] = {
		{OCSF_BASE_EVENT, "Base Event"},	   {OCSF_FINDING, "Detection Finding"},
		{OCSF_AUTHENTICATION, "Authentication"},   {OCSF_NETWORK, "Network Activity"},
		{OCSF_LIFECYCLE, "Application Lifecycle"}, {OCSF_API, "OCSF_API Activity"},
		{OCSF_DATASTORE, "Datastore Activity"},
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (names[i].class == class)
			return names[i].name;
	}
	abort(); /* a row of ours without a name */
}

static void product(struct json_out *j, const char *name)
{
	json_open(j, name, '{');
	json_plain(j, "name", PRODUCT);
	json_plain(j, "vendor_name", VENDOR);
	json_plain(j, "version", SALLYPORT_VERSION);
	json_close(j, '}');
}

static void ocsf_class(struct json_out *j, const struct export_class *class)
{
	static const uint8_t severities[] = {6, 5, 5, 4, 3, 2, 1, 1}; /* by RFC 5424's */
	static const char *const statuses[] = {"Unknown", "Success", "Failure"};

	json_number(j, "class_uid", class->ocsf_class);
	json_plain(j, "class_name", class_name(class->ocsf_class));
	json_number(j, "category_uid", class->ocsf_class / 1000);
	json_number(j, "activity_id", class->ocsf_activity);
	json_plain(j, "activity_name", class->title);
	json_number(j, "type_uid", class->ocsf_class * UINT64_C(100) + class->ocsf_activity);
	json_number(j, "severity_id", severities[class->severity & 7]);
	json_number(j, "status_id", class->outcome);
	json_plain(j, "status", statuses[class->outcome]);
}

static void ocsf_user(struct json_out *j, const char *name, const struct field_values *v)
{
	json_open(j, name, '{');
	json_text(j, "name", text_of(v, FIELD_INITIATOR, "unknown"));
	json_close(j, '}');
}

static void ocsf_endpoints(struct json_out *j, const struct field_values *v)
{
	json_open(j, "src_endpoint", '{');
	group(j, ocsf_names, "src_endpoint.", v);
	if (!field_is_set(v, FIELD_PEER_IP))
		json_plain(j, "name", "gateway");
	json_close(j, '}');
	json_open(j, "dst_endpoint", '{');
	group(j, ocsf_names, "dst_endpoint.", v);
	json_plain(j, "svc_name", "iscsi");
	json_close(j, '}');
}

/* What each class wants to have. */
static void ocsf_own(struct json_out *j, const struct export_class *class,
		     const struct field_values *v)
{
	char number[24];

	switch (class->ocsf_class) {
	case OCSF_AUTHENTICATION:
		ocsf_user(j, "user", v);
		break;
	case OCSF_LIFECYCLE:
		product(j, "app");
		break;
	case OCSF_API:
		json_open(j, "api", '{');
		json_text(j, "operation", text_of(v, FIELD_REASON, class->title));
		json_close(j, '}');
		break;
	case OCSF_FINDING:
		json_open(j, "finding_info", '{');
		(void)snprintf(number, sizeof number, "%llu",
			       (unsigned long long)v->of[FIELD_SEQ].number);
		json_plain(j, "uid", number);
		json_plain(j, "title", class->title);
		json_close(j, '}');
		break;
	case OCSF_DATASTORE:
		json_open(j, "databucket", '{');
		json_text(j, "name", text_of(v, FIELD_TARGET, "unknown"));
		json_close(j, '}');
		break;
	default:
		break;
	}
}

void export_ocsf(struct wr *w, const struct trail_record *r, const struct field_values *v)
{
	struct export_class class = export_class(r);
	struct json_out j = {w, false};

	json_open(&j, NULL, '{');
	json_number(&j, "time", v->of[FIELD_TIME_NS].number / 1000000);
	ocsf_class(&j, &class);
	group(&j, ocsf_names, "", v);
	json_open(&j, "metadata", '{');
	json_plain(&j, "version", EXPORT_OCSF_VERSION);
	product(&j, "product");
	json_plain(&j, "log_name", "audit");
	group(&j, ocsf_names, "metadata.", v);
	json_close(&j, '}');
	json_open(&j, "actor", '{');
	ocsf_user(&j, "user", v);
	json_close(&j, '}');
	ocsf_endpoints(&j, v);
	ocsf_own(&j, &class, v);
	rest(&j, "unmapped", ocsf_names, v);
	json_close(&j, '}');
}
