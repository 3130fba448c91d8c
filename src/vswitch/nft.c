/* SPDX-License-Identifier: BSD-2-Clause */
#include "vswitch/filter.h"

#include <errno.h>
#include <nftables/libnftables.h>
#include <string.h>

/* The first line of what libnftables says, without its "Error: " and its place in a text that nobody sees. */
static void first_line(const char *said, char *ret, size_t size)
{
	const char *text = strstr(said, "Error: ");
	size_t n;

	text = text ? text + strlen("Error: ") : said;
	n = strcspn(text, "\n");
	n = MIN(n, size - 1);
	memcpy(ret, text, n);
	ret[n] = 0;
}

static int run(const char *text, bool dry, struct vswitch_error *e)
{
	struct nft_ctx *nft = nft_ctx_new(NFT_CTX_DEFAULT);
	char line[200];
	int r, err;

	if (!nft || nft_ctx_buffer_error(nft) || nft_ctx_buffer_output(nft)) {
		if (nft)
			nft_ctx_free(nft);
		return vswitch_fail(e, -ENOMEM, "no memory");
	}
	nft_ctx_set_dry_run(nft, dry);
	errno = 0;
	r = nft_run_cmd_from_buffer(nft, text);
	err = errno ? -errno : -EIO;
	if (r) {
		first_line(nft_ctx_get_error_buffer(nft), line, sizeof(line));
		vswitch_fail(e, err, "the packet filter (nftables): %s",
			     *line ? line : strerror(-err));
	}
	nft_ctx_free(nft);
	return r ? err : 0;
}

int filter_apply(const char *text, struct vswitch_error *e)
{
	return run(text, false, e);
}

int filter_check(const char *text, struct vswitch_error *e)
{
	return run(text, true, e);
}
