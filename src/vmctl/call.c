/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmctl/vmctl.h"

#include <errno.h>
#include "rpc/client.h"

/* Every wait is vmms's own and bounded by its timeouts, so that a call itself waits for ever. */
static int call_once(struct vmctl *v, const char *method, json_t *params, json_t **ret,
		     struct rpc_error *e)
{
	int r = v->client ? 0 : rpc_client_connect(v->socket, &v->client, e);

	if (r < 0) {
		v->client = NULL;
		json_decref(params);
		return r;
	}
	return rpc_client_call(v->client, method, params, -1, ret, e);
}

/* One line that says how to go on where nobody answers; else what vmms said. */
static int report(const struct vmctl *v, bool connected, const struct rpc_error *e)
{
	if (!connected && (e->err == -ENOENT || e->err == -ECONNREFUSED))
		return fail(v,
			    "no vmms answers at %s; to start it: systemctl start vmms, "
			    "or one of "
			    "your own: vmms (see vmms(8))",
			    v->socket);
	if (!connected && e->err == -EACCES)
		return fail(
			v,
			"you may not use %s; run it as root, or as a member of its group",
			v->socket);
	return fail(v, "%s", e->message);
}

int call(struct vmctl *v, const char *method, json_t *params, json_t **ret)
{
	struct rpc_error e = { 0 };
	json_auto_t *doc = NULL;
	int r;

	if (!params)
		return fail(v, "a word is not UTF-8 text, or there is no memory");
	r = call_once(v, method, params, ret, &e);
	if (r == 0)
		return VMCTL_DONE;
	doc = v->json ? json_pack("{s:o}", "error", rpc_error_to_json(&e)) : NULL;
	if (doc)
		print_json(doc);
	return report(v, v->client != NULL, &e);
}

int call_quiet(struct vmctl *v, const char *method, json_t *params, json_t **ret)
{
	struct rpc_error e = { 0 };

	return params ? call_once(v, method, params, ret, &e) : -ENOMEM;
}

void call_done(struct vmctl *v)
{
	rpc_client_free(v->client);
	v->client = NULL;
}
