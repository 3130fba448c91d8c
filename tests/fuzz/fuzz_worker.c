/* SPDX-License-Identifier: BSD-2-Clause */
/* What a worker says to vmms: a line, a status document of it, and what clients are then shown. */
#include "fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "rpc/frame.h"
#include "vmms/vm/vm.h"

static struct vm *make_vm(void)
{
	struct vm_config c = { .name = "fuzz", .processors = 1, .memory_bytes = 8 << 20 };
	struct guid g = { { 1 } };

	c.notes = strdup("");
	c.cmdline = strdup("");
	return vm_new(&g, &c);
}

/* Whatever was said: the documents can be made, and a reason is one line that fits. */
static void check_vm(const struct vm *vm)
{
	json_t *doc = vm_show(vm, "/log");

	if (!doc || strlen(vm->reason) >= sizeof(vm->reason) || strchr(vm->reason, '\n'))
		abort();
	json_decref(doc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct vm *vm = make_vm();

	while (size) {
		const char *end = memchr(text, '\n', size);
		size_t len = end ? (size_t)(end - text) : size;
		char why[200];
		json_t *j;

		if (frame_parse(text, len, &j, why, sizeof(why)) == 0) {
			if (vm_apply_status(vm, j) >= 0)
				check_vm(vm);
			json_decref(j);
		}
		len += end != NULL;
		text += len;
		size -= len;
	}
	vm_set_off(vm, VM_OK, "the end");
	check_vm(vm);
	vm_free(vm);
	return 0;
}
