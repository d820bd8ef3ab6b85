/* Who becomes registered: REGISTER in its two forms, with the ports that SPEC_I_PT and ALL_TG_PT
 * name, and REGISTER AND MOVE, SPC-4 section 5.13. Runs in the arbiter. TransportIDs are an
 * initiator's, and register nobody before the whole list was read. */
#include "gateway/arbiter/plea.h"
#include "gateway/arbiter/transport_id.h"

#define KEY_ILLEGAL_REQUEST	       0x5
#define INSUFFICIENT_REGISTRATION_ROOM 0x5504
#define RESERVATIONS_RELEASED	       0x2a04

static enum decision no_room(const struct plea *p)
{
	return answer_sense(p->ret, KEY_ILLEGAL_REQUEST, INSUFFICIENT_REGISTRATION_ROOM);
}

/* --- who and where --- */

static bool has_disk(const struct member *m, unsigned disk)
{
	for (unsigned k = 0; k < m->lun_count; k++) {
		if (m->luns[k].disk == disk)
			return true;
	}
	return false;
}

/* Target ports through which the disk is reached, as far as is known here: those that somebody is
 * logged in to with it, and those that somebody is registered through. */
struct ports {
	unsigned count;
	struct port {
		uint64_t id;
		uint16_t relative;
	} all[2 * ARBITER_REGISTRANTS];
};

static void ports_add(struct ports *ports, uint64_t id, uint16_t relative)
{
	for (unsigned i = 0; i < ports->count; i++) {
		if (ports->all[i].id == id)
			return;
	}
	if (ports->count < ARRAY_LEN(ports->all))
		ports->all[ports->count++] = (struct port){id, relative};
}

/* The asker's own first. */
static void ports_own(const struct plea *p, struct ports *ret_ports)
{
	ret_ports->count = 0;
	ports_add(ret_ports, p->member->port, p->member->relative_port);
}

static void ports_known(const struct plea *p, struct ports *ret_ports)
{
	ports_own(p, ret_ports);
	for (const struct member *m = p->court->members; m != NULL; m = m->next_member) {
		if (has_disk(m, p->disk))
			ports_add(ret_ports, m->port, m->relative_port);
	}
	for (size_t i = 0; i < ARBITER_REGISTRANTS; i++) {
		const struct registration *r = &p->draft->registrations[i];

		if (r->nexus != 0)
			ports_add(ret_ports, r->port, r->relative_port);
	}
}

static struct initiator_port initiator_port_of(const struct member *m)
{
	struct initiator_port port = {0};

	memcpy(port.name, m->initiator, sizeof port.name);
	memcpy(port.isid, m->isid, sizeof port.isid);
	return port;
}

/* --- registering --- */

static bool register_nexus(const struct plea *p, const struct initiator_port *initiator,
			   const struct port *port)
{
	struct registration r = {
		.nexus = arbiter_nexus_id(initiator->name, initiator->isid, port->id),
		.port = port->id,
		.relative_port = port->relative,
		.key = p->order->action_key,
	};

	memcpy(r.isid, initiator->isid, sizeof r.isid);
	memcpy(r.initiator, initiator->name, sizeof r.initiator);
	return registration_exists(p->draft, r.nexus) || registration_put(p->draft, &r);
}

static bool register_ports(const struct plea *p, const struct initiator_port *initiator,
			   const struct ports *ports)
{
	for (unsigned i = 0; i < ports->count; i++) {
		if (!register_nexus(p, initiator, &ports->all[i]))
			return false;
	}
	return true;
}

/* Format 00b of a TransportID: all of the initiator's ports that are known here. */
static bool register_device(const struct plea *p, struct initiator_port *initiator,
			    const struct ports *ports)
{
	for (const struct member *m = p->court->members; m != NULL; m = m->next_member) {
		if (!has_disk(m, p->disk) || strcmp(m->initiator, initiator->name) != 0)
			continue;
		memcpy(initiator->isid, m->isid, sizeof m->isid);
		if (!register_ports(p, initiator, ports))
			return false;
	}
	for (size_t i = 0; i < ARBITER_REGISTRANTS; i++) {
		const struct registration *r = &p->draft->registrations[i];

		if (r->nexus == 0 || strcmp(r->initiator, initiator->name) != 0)
			continue;
		memcpy(initiator->isid, r->isid, sizeof r->isid);
		if (!register_ports(p, initiator, ports))
			return false;
	}
	return true;
}

/* SPEC_I_PT: all that the list names, or none. */
static enum decision register_listed(const struct plea *p, const struct ports *ports)
{
	struct rd list = rd_over(p->order->octets, p->order->len);
	struct initiator_port initiator;

	while (rd_left(&list) > 0) {
		if (transport_id_read(&list, &initiator) < 0)
			return plea_bad_list(p, PR_LIST_TRANSPORT_IDS +
							(size_t)(list.p - p->order->octets));
		if (initiator.every_isid ? !register_device(p, &initiator, ports)
					 : !register_ports(p, &initiator, ports))
			return no_room(p);
	}
	return DECISION_CHANGE;
}

/* SPC-4 section 5.13.11: who holds and leaves, releases; the last of all registrants, too. */
static void unregister(const struct plea *p, struct registration *gone)
{
	uint8_t type = p->draft->state.reservation;
	bool held = reservation_is_held_by(p->draft, gone->nexus);

	registration_drop(p->draft, gone);
	if (!held || (reservation_is_of_all(type) && reservation_has_registrations(p->draft)))
		return;
	reservation_drop(p->draft);
	if (reservation_is_of_registrants(type))
		plea_tell_registered(p, RESERVATIONS_RELEASED);
}

/* The same request through one port. Of another port than the asker's, a registration that
 * REGISTER's key does not fit stays as it is. */
static bool register_through(const struct plea *p, const struct port *port)
{
	const struct arbiter_order *order = p->order;
	struct initiator_port me = initiator_port_of(p->member);
	struct registration *r =
		registration_find(p->draft, arbiter_nexus_id(me.name, me.isid, port->id));

	if (r == NULL)
		return order->action_key == 0 || register_nexus(p, &me, port);
	if (order->action == PR_REGISTER && r->key != order->key)
		return true;
	if (order->action_key == 0)
		unregister(p, r);
	else
		r->key = order->action_key;
	return true;
}

enum decision plea_register(struct plea *p)
{
	const struct arbiter_order *order = p->order;
	struct ports ports;

	if (order->action == PR_REGISTER && order->key != (p->mine ? p->mine->key : 0))
		return answer_conflict(p->ret);
	if ((order->flags & ORDER_SPEC_I_PT) && (order->action != PR_REGISTER || p->mine))
		return plea_bad_list(p, PR_LIST_FLAGS);
	if (p->mine == NULL && order->action_key == 0)
		return DECISION_ANSWER; /* GOOD, and nothing else */
	((order->flags & ORDER_ALL_TG_PT) ? ports_known : ports_own)(p, &ports);
	for (unsigned i = 0; i < ports.count; i++) {
		if (!register_through(p, &ports.all[i]))
			return no_room(p);
	}
	p->draft->aptpl = (order->flags & ORDER_APTPL) != 0;
	return (order->flags & ORDER_SPEC_I_PT) ? register_listed(p, &ports) : DECISION_CHANGE;
}

/* --- moving --- */

/* Several targets may have a port of that number: the one where the nexus is, if it is anywhere,
 * else the asker's own. */
static const struct port *port_of_nexus(const struct plea *p, const struct ports *ports,
					const struct initiator_port *to)
{
	const struct port *found = NULL;

	for (unsigned i = 0; i < ports->count; i++) {
		const struct port *port = &ports->all[i];
		uint64_t nexus = arbiter_nexus_id(to->name, to->isid, port->id);
		bool here = registration_exists(p->draft, nexus);

		if (port->relative != p->order->relative_port)
			continue;
		for (const struct member *m = p->court->members; m != NULL; m = m->next_member)
			here = here || (m->nexus == nexus && has_disk(m, p->disk));
		if (here)
			return port;
		if (found == NULL)
			found = port;
	}
	return found;
}

static enum decision move_to(struct plea *p, const struct initiator_port *to,
			     const struct port *port)
{
	uint64_t nexus = arbiter_nexus_id(to->name, to->isid, port->id);
	struct registration *there = registration_find(p->draft, nexus);

	if (p->order->flags & ORDER_UNREGISTER)
		registration_drop(p->draft, p->mine);
	if (there != NULL)
		there->key = p->order->action_key;
	else if (!register_nexus(p, to, port))
		return no_room(p);
	p->draft->state.holder = nexus;
	p->draft->aptpl = (p->order->flags & ORDER_APTPL) != 0;
	return DECISION_CHANGE;
}

enum decision plea_move(struct plea *p)
{
	const struct arbiter_order *order = p->order;
	struct rd list = rd_over(order->octets, order->len);
	uint8_t type = p->draft->state.reservation;
	struct initiator_port to;
	const struct port *port;
	struct ports ports;

	if (!plea_has_key(p) || reservation_is_of_all(type))
		return answer_conflict(p->ret);
	if (type == RESERVATION_NONE)
		return plea_bad_cdb(p);
	if (!reservation_is_held_by(p->draft, p->mine->nexus))
		return answer_conflict(p->ret);
	if (order->action_key == 0)
		return plea_bad_list(p, PR_LIST_ACTION_KEY);
	if (transport_id_read(&list, &to) < 0)
		return plea_bad_list(p, PR_MOVE_TRANSPORT_ID + (size_t)(list.p - order->octets));
	if (rd_left(&list) > 0)
		return plea_bad_list(p, PR_MOVE_TRANSPORT_ID + (size_t)(list.p - order->octets));
	if (to.every_isid || (memcmp(to.isid, p->member->isid, sizeof to.isid) == 0 &&
			      strcmp(to.name, p->member->initiator) == 0))
		return plea_bad_list(p, PR_MOVE_TRANSPORT_ID);
	ports_known(p, &ports);
	port = port_of_nexus(p, &ports, &to);
	return port != NULL ? move_to(p, &to, port) : plea_bad_list(p, PR_MOVE_RELATIVE_PORT);
}
