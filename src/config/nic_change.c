/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One adapter more, less or another in a configuration, by the JSON form of the whole as drive.c does it; and what follows from an adapter's number.
 */
#include "config/config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config/parse_priv.h"
#include "util/guid.h"

const struct nic_config *config_nic_at(const struct vm_config *c, unsigned int number)
{
	for (size_t i = 0; i < c->nic_count; i++) {
		if (c->nics[i].number == number)
			return &c->nics[i];
	}
	return NULL;
}

void config_nic_instance(const struct guid *vm, unsigned int number, struct guid *ret)
{
	char place[16];

	snprintf(place, sizeof(place), "nic/%u", number);
	guid_derive(vm, place, ret);
}

/* ---- changes ---- */

static int no_memory(struct config_error *e)
{
	snprintf(e->message, sizeof(e->message), "no memory");
	return -ENOMEM;
}

static int no_nic(unsigned int number, struct config_error *e)
{
	snprintf(e->message, sizeof(e->message), "there is no network adapter %u",
		 number);
	return -ENOENT;
}

static size_t index_of(const struct vm_config *c, unsigned int number)
{
	return (size_t)(config_nic_at(c, number) - c->nics);
}

/* The number of a new adapter: its own, or the first that is free. */
static int choose_number(const struct vm_config *c, json_t *nic, unsigned int *ret,
			 struct config_error *e)
{
	const json_t *number = json_object_get(nic, "number");
	unsigned int n = 0;

	if (number) {
		json_int_t said = json_integer_value(number);

		/* What can be none is said by the validator. */
		n = said < 0 || said > CONFIG_NICS_MAX ? CONFIG_NICS_MAX
						       : (unsigned int)said;
		if (json_is_integer(number) && config_nic_at(c, n)) {
			snprintf(e->message, sizeof(e->message),
				 "there is a network adapter %u already", n);
			return -EEXIST;
		}
		*ret = n;
		return 0;
	}
	while (n < CONFIG_NICS_MAX && config_nic_at(c, n))
		n++;
	if (n == CONFIG_NICS_MAX) {
		snprintf(e->message, sizeof(e->message),
			 "it has %u network adapters, which is the most",
			 CONFIG_NICS_MAX);
		return -ENOSPC;
	}
	*ret = n;
	return json_object_set_new(nic, "number", json_integer((json_int_t)n)) == 0
		       ? 0
		       : no_memory(e);
}

int config_nic_add(const struct vm_config *c, const json_t *nic, unsigned int *ret_number,
		   struct vm_config *ret, struct config_error *e)
{
	json_auto_t *text = config_to_json(c), *copy = json_deep_copy(nic);
	int r;

	if (!json_is_object(copy)) {
		snprintf(e->message, sizeof(e->message), "nic: must be an object");
		return -EINVAL;
	}
	if (!text)
		return no_memory(e);
	r = choose_number(c, copy, ret_number, e);
	if (r < 0)
		return r;
	if (json_array_append(json_object_get(text, "nics"), copy) < 0)
		return no_memory(e);
	return config_from_json(text, ret, e);
}

int config_nic_remove(const struct vm_config *c, unsigned int number,
		      struct vm_config *ret, struct config_error *e)
{
	json_auto_t *text = config_to_json(c);

	if (!config_nic_at(c, number))
		return no_nic(number, e);
	if (json_array_remove(json_object_get(text, "nics"), index_of(c, number)) < 0)
		return no_memory(e);
	return config_from_json(text, ret, e);
}

int config_nic_patch(const struct vm_config *c, unsigned int number, const json_t *patch,
		     struct vm_config *ret, struct config_error *e)
{
	json_auto_t *text = config_to_json(c);

	if (!config_nic_at(c, number))
		return no_nic(number, e);
	if (!json_is_object(patch) || json_object_get(patch, "number")) {
		snprintf(e->message, sizeof(e->message),
			 "the patch must be an object without a number");
		return -EINVAL;
	}
	if (!text || config_merge(json_array_get(json_object_get(text, "nics"),
						 index_of(c, number)),
				  patch) < 0)
		return no_memory(e);
	return config_from_json(text, ret, e);
}
