/* SPDX-License-Identifier: BSD-2-Clause */
/* The methods on the host itself. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "rpc/frame.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "vmms/worker/helper.h"
#include "vmms/vmms.h"

#define CHECK_SECONDS 20

/* MemAvailable of /proc/meminfo (proc(5)), in kB there. */
static json_int_t available_bytes(void)
{
	cleanup_free char *text = NULL;
	const char *line;
	long long kb = 0;

	if (io_read_file(AT_FDCWD, "/proc/meminfo", 65536, &text, NULL) < 0)
		return 0;
	line = strstr(text, "MemAvailable:");
	if (!line || sscanf(line, "MemAvailable: %lld kB", &kb) != 1)
		return 0;
	return kb * 1024;
}

void host_info(struct rpc_call *call, void *ctx)
{
	struct vmms *v = ctx;
	struct utsname u;
	int workers = 0;
	struct vm *vm;

	list_for_each (vm, &v->registry.vms, link)
		workers += vm->worker != NULL;
	uname(&u);
	rpc_call_reply(
		call,
		json_pack("{s:s, s:i, s:s, s:s, s:I, s:I, s:I, s:s, s:s, s:i, s:i}",
			  "version", VMMS_VERSION, "pid", (int)getpid(), "hostname",
			  u.nodename, "kernel", u.release, "processors",
			  (json_int_t)sysconf(_SC_NPROCESSORS_ONLN), "memory_bytes",
			  (json_int_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE),
			  "memory_available_bytes", available_bytes(), "state_dir",
			  v->settings.state_dir, "run_dir", v->settings.run_dir, "vms",
			  (int)v->registry.count, "workers", workers));
}

/* What the worker's program cannot know: how vmms starts it. */
static int add_sandbox(const struct vmms *v, json_t *doc)
{
	char text[CONFINE_TEXT];
	bool note = confine_describe(&v->confine, text);
	json_t *item = json_pack("{s:s, s:s, s:s}", "name", "sandbox", "result",
				 note ? "note" : "ok", "text", text);

	return json_array_append_new(json_object_get(doc, "checks"), item);
}

static int add_cgroups(const struct vmms *v, json_t *doc)
{
	const struct cgroups *c = &v->cgroups;
	json_t *item = json_pack("{s:s, s:s, s:s}", "name", "control groups", "result",
				 c->note ? "note" : "ok", "text", c->text);

	return json_array_append_new(json_object_get(doc, "checks"), item);
}

struct check {
	const struct vmms *v;
	struct rpc_call *call;
};

static void on_checked(void *arg, int r, const char *out, size_t len)
{
	cleanup_free struct check *check = arg;
	struct rpc_call *call = check->call;
	char why[160] = "";
	struct rpc_error e;
	json_t *j = NULL;

	if (r == 0)
		r = frame_parse(out, len, &j, why, sizeof(why));
	if (r == 0 && !json_is_object(j))
		r = -EPROTO;
	if (r == 0 &&
	    rpc_fields_check(rpc_method_find(&rpc_vmms_methods, "host.check")->result, j,
			     "host.check", &e) < 0)
		r = -EPROTO;
	if (r < 0) {
		json_decref(j);
		rpc_call_fail(
			call, -ECONNRESET,
			"the check of the host failed: %s; run 'vmwp --host-check' to "
			"see why",
			why[0] ? why : strerror(-r));
		return;
	}
	if (add_sandbox(check->v, j) < 0 || add_cgroups(check->v, j) < 0) {
		json_decref(j);
		rpc_call_fail(call, -ENOMEM, "no memory");
		return;
	}
	rpc_call_reply(call, j);
}

void host_check(struct rpc_call *call, void *ctx)
{
	struct vmms *v = ctx;
	const char *const argv[] = { v->settings.vmwp, "--host-check", NULL };
	struct check *check = malloc(sizeof(*check));
	int r = check ? 0 : -ENOMEM;

	if (r == 0) {
		*check = (struct check){ .v = v, .call = call };
		r = access(argv[0], X_OK) < 0
			    ? -errno
			    : helper_run(v->base, argv, CHECK_SECONDS, on_checked, check);
	}
	if (r < 0)
		free(check);
	if (r < 0)
		rpc_call_fail(call, r, "the host cannot be checked: %s: %s", argv[0],
			      strerror(-r));
}
