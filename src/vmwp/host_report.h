/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `vmwp --host-check`: vid's host check as one JSON document on standard output, for vmms, which may not link vid.
 */
#ifndef VMWP_HOST_REPORT_H
#define VMWP_HOST_REPORT_H

/*
 * {"ok": bool, "checks": [{"name": str, "result": "ok"|"note"|"missing", "text": str}]}. Returns main's exit status: 0 also when something
 * is missing (the document says so), 1 when the check itself failed. Thread: the only one.
 */
int host_report_print(void);

#endif
