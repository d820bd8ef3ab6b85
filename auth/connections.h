/* Sessions that log in, as the authenticator sees them: within its process. */
#pragma once

#include "auth/enrolment.h"
#include "auth/exchange.h"
#include "auth/identities.h"
#include "auth/store.h"
#include "gateway/base/loop.h"

#define CONNECTIONS_MAX 4096

struct connection;

struct connections {
	struct loop *loop;
	struct exchange_common *common;
	struct identity_sets *identities;
	struct enrolment *enrolment;
	/* To the monitor. False: it does not read, and connections_conclude() is for when it does.
	 */
	bool (*tell)(uint32_t type, const void *body, size_t size);
	struct connection *list;
	size_t count;
};

/* Takes the descriptor. False: there is no room, and nothing was taken. */
bool connections_add(struct connections *all, const struct auth_connection *info,
		     int *fd) MUST_CHECK;
/* The monitor's answers to who proved a code. */
void connections_enrol(struct connections *all, const struct auth_enrol_go *go,
		       const struct store *store);
void connections_refuse(struct connections *all, const struct auth_enrol_no *no);
/* Verdicts that waited for the monitor. */
void connections_conclude(struct connections *all);
void connections_close(struct connections *all);
