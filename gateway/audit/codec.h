/* How numbers, texts, clocks and addresses stand in the trail's payloads. Numbers are
 * LEB128: seven bits an octet, the lowest first, the top bit set while more follow. Readers fail
 * their cursor instead of returning what is out of bounds. */
#pragma once

#include "gateway/base/address.h"
#include "gateway/base/bytes.h"

#define NUMBER_OCTETS_MAX 10 /* octets of a number */

void put_number(struct wr *w, uint64_t value);
uint64_t get_number(struct rd *r);
uint64_t get_number_below(struct rd *r, uint64_t limit); /* limit: the greatest that is taken */

/* The distance from `base`, either way: twice the number of steps that the value is above it, or
 * twice the number that it is below, less 1. */
void put_distance(struct wr *w, uint64_t value, uint64_t base);
uint64_t get_distance(struct rd *r, uint64_t base);

void put_text(struct wr *w, const char *text, size_t size);
void get_text(struct rd *r, char *ret, size_t size);
void put_endpoint(struct wr *w, const struct endpoint *e);
void get_endpoint(struct rd *r, struct endpoint *ret);
