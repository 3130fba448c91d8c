/* SPDX-License-Identifier: BSD-2-Clause */
/* A VM's configuration, as a file or from a client; what is accepted must survive being written and read again. */
#include "fuzz/fuzz.h"

#include <stdlib.h>
#include "config/config.h"

static void read_again(const struct vm_config *c)
{
	struct config_error e;
	struct vm_config again;
	json_t *text = config_to_json(c), *differ;

	if (!text || config_from_json(text, &again, &e) < 0)
		abort();
	differ = config_diff(c, &again);
	if (json_array_size(differ))
		abort();
	json_decref(differ);
	config_done(&again);
	json_decref(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config_error e;
	struct vm_config c;

	if (config_parse((const char *)data, size, &c, &e) < 0)
		return 0;
	read_again(&c);
	config_done(&c);
	return 0;
}
