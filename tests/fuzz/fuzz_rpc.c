/* SPDX-License-Identifier: BSD-2-Clause */
/* What a client sends to vmms: a stream cut anywhere, lines of JSON, requests, params by the table. */
#include "fuzz/fuzz.h"

#include "rpc/frame.h"
#include "rpc/methods.h"

#define LINE_MAX_BYTES 4096

static void check_request(const json_t *request)
{
	const char *name = json_string_value(json_object_get(request, "method"));
	const struct rpc_method *m =
		name ? rpc_method_find(&rpc_vmms_methods, name) : NULL;
	struct rpc_error e = { 0 };
	json_t *params;

	if (m &&
	    rpc_params_check(m, json_object_get(request, "params"), &params, &e) == 0)
		json_decref(params);
}

static void check_line(const char *line, size_t len)
{
	json_t *text, *each;
	char why[200];
	size_t i;

	if (frame_parse(line, len, &text, why, sizeof(why)) < 0)
		return;
	check_request(text);
	json_array_foreach (text, i, each) {
		check_request(each);
	}
	json_decref(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t chunk = size ? data[0] + 1u : 1;
	struct frame_reader r;
	int n = 0;

	frame_init(&r, LINE_MAX_BYTES);
	for (size_t at = 1; at < size && n >= 0; at += chunk) {
		char *line;
		size_t len;

		if (frame_append(&r, data + at, MIN(chunk, size - at)) < 0)
			break;
		while ((n = frame_next(&r, &line, &len)) > 0)
			check_line(line, len);
	}
	frame_done(&r);
	return 0;
}
