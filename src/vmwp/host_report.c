/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmwp/host_report.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "util/cleanup.h"
#include "vid/host.h"

static const char *const result_names[] = {
	[HOST_OK] = "ok",
	[HOST_NOTE] = "note",
	[HOST_MISSING] = "missing",
};

static json_t *items_json(const struct host_check_item *items, size_t n)
{
	json_t *array = json_array();

	for (size_t i = 0; array && i < n; i++) {
		json_t *item =
			json_pack("{s:s, s:s, s:s}", "name", items[i].name, "result",
				  result_names[items[i].result], "text", items[i].text);

		if (json_array_append_new(array, item) < 0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

int host_report_print(void)
{
	cleanup_free struct host_check_item *items = NULL;
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	json_t *doc;
	size_t n;
	int r, written;

	r = host_check(kvm >= 0 ? kvm : -errno, &items, &n);
	if (r < 0) {
		fprintf(stderr, "vmwp: cannot check this host: %s\n", strerror(-r));
		return 1;
	}
	doc = json_pack("{s:b, s:o*}", "ok", r == 0, "checks", items_json(items, n));
	written = doc ? json_dumpf(doc, stdout, JSON_COMPACT) : -1;
	json_decref(doc);
	if (written < 0 || putchar('\n') == EOF || fflush(stdout) == EOF) {
		fprintf(stderr, "vmwp: cannot write the check's result\n");
		return 1;
	}
	return 0;
}
