/* SPDX-License-Identifier: BSD-2-Clause */
#include "config/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "unit/test.h"

#define HEAD "{\"schema\":1,\"name\":\"a\",\"memory\":{\"bytes\":67108864}"

/* Each is refused with this text somewhere in the message. */
static const struct {
	const char *text, *message;
} bad[] = {
	{ "", "line 1, column 0" },
	{ "{\"schema\": 1,\n \"name\": }", "line 2, column 10" },
	{ "[]", "configuration: must be an object" },
	{ "{} {}", "line 1, column 4" },
	{ "{}", "schema: is missing" },
	{ "{\"schema\":2,\"name\":\"a\"}", "schema: version 2 is not known" },
	{ "{\"schema\":\"1\"}", "schema: must be an integer" },
	{ "{\"schema\":1}", "name: is missing" },
	{ "{\"schema\":1,\"name\":\"a\"}", "memory: is missing" },
	{ "{\"schema\":1,\"name\":\"a\",\"name\":\"b\"}", "duplicate object key" },
	{ "{\"schema\":1,\"name\":7}", "name: must be a string" },
	{ "{\"schema\":1,\"name\":\"\"}", "name: must have 1 to 100" },
	{ "{\"schema\":1,\"name\":\"a/b\"}", "name: must hold no '/'" },
	{ "{\"schema\":1,\"name\":\"a\\u0000b\"}", "\\u0000" },
	{ "{\"schema\":1,\"name\":\"a\\nb\"}", "no control character" },
	{ "{\"schema\":1,\"name\":\"a\\u202eb\"}", "no control character" },
	{ "{\"schema\":1,\"name\":\"\xff\"}", "line 1" },
	{ "{\"schema\":1,\"name\":\" a\"}", "begin or end with a blank" },
	{ "{\"schema\":1,\"name\":\"F8615163-DF3E-46c5-913F-F2D2F965ED0E\"}",
	  "form of a UUID" },
	{ "{\"schema\":1,\"name\":\"a\",\"memory\":67108864}",
	  "memory: must be an object" },
	{ "{\"schema\":1,\"name\":\"a\",\"memory\":{\"bytes\":3145728}}",
	  "memory: 3M is below the minimum of 8M" },
	{ "{\"schema\":1,\"name\":\"a\",\"memory\":{\"bytes\":2199023255552}}",
	  "memory: 2T is above the maximum of 1T" },
	{ "{\"schema\":1,\"name\":\"a\",\"memory\":{\"bytes\":9437184}}",
	  "memory: 9M is not a multiple of 2M" },
	{ "{\"schema\":1,\"name\":\"a\",\"memory\":{\"bytes\":-1}}",
	  "less than nothing" },
	{ "{\"schema\":1,\"name\":\"a\",\"memory\":{\"bytes\":6.4e7}}", "one integer" },
	{ "{\"schema\":1,\"name\":\"a\",\"memory\":{\"bytes\":67108864,\"x\":1}}",
	  "one integer" },
	{ "{\"schema\":1,\"name\":\"a\",\"memory\":{\"limit\":67108864}}",
	  "memory: must be an object with one integer" },
	{ "{\"schema\":1,\"name\":\"a\",\"memory\":{\"bytes\":67108864},"
	  "\"host_memory\":{\"limit\":"
	  "134217727}}",
	  "host_memory.limit: must be at least 128M" },
	{ "{\"schema\":1,\"name\":\"a\",\"memory\":{\"bytes\":67108864},"
	  "\"host_memory\":{\"limit\":-1}}",
	  "host_memory.limit: must be an integer from 0" },
	{ "{\"schema\":1,\"name\":\"a\",\"memory\":{\"bytes\":67108864},"
	  "\"host_memory\":{\"limit\":"
	  "134217728,"
	  "\"reserve\":134217729}}",
	  "host_memory.reserve: is more than" },
	{ "{\"schema\":1,\"name\":\"a\",\"memory\":{\"bytes\":67108864},"
	  "\"host_memory\":{\"reserve\":"
	  "\"1M\"}}",
	  "host_memory.reserve: must be an integer" },
	{ HEAD ",\"cpu\":1}", "cpu: must be an object" },
	{ HEAD ",\"cpu\":{\"weight\":0}}",
	  "cpu.weight: must be an integer from 1 to 10000" },
	{ HEAD ",\"cpu\":{\"weight\":10001}}", "cpu.weight: must be" },
	{ HEAD ",\"cpu\":{\"weight\":4294967297}}", "cpu.weight: must be" },
	{ HEAD ",\"cpu\":{\"limit\":0}}", "cpu.limit: must be an integer from 1 to 100" },
	{ HEAD ",\"cpu\":{\"limit\":101}}", "cpu.limit: must be" },
	{ HEAD ",\"cpu\":{\"limit\":50.0}}", "cpu.limit: must be" },
	{ HEAD ",\"cpu\":{\"reserve\":-1}}",
	  "cpu.reserve: must be an integer from 0 to 100" },
	{ HEAD ",\"cpu\":{\"limit\":20,\"reserve\":21}}",
	  "cpu.reserve: is more than cpu.limit" },
	{ HEAD ",\"cpu\":{\"shares\":1}}", "cpu.shares: there is no such member" },
	{ HEAD ",\"io\":[]}", "io: must be an object" },
	{ HEAD ",\"io\":{\"weight\":0}}", "io.weight: must be" },
	{ "{\"schema\":1,\"name\":\"a\",\"memory\":{\"bytes\":99999999999999999999}}",
	  "too big integer" },
	{ HEAD ",\"nics\":{}}", "nics: must be an array of at most 8" },
	{ HEAD ",\"nics\":[1]}", "nics[0].must be an object" },
	{ HEAD ",\"nics\":[{}]}", "nics[0].kind: is missing" },
	{ HEAD ",\"nics\":[{\"kind\":\"bridge\"}]}", "nics[0].kind: must be" },
	{ HEAD ",\"nics\":[{\"kind\":\"user\",\"speed\":1}]}",
	  "speed: there is no such member" },
	{ HEAD ",\"nics\":[{\"kind\":\"user\",\"mac\":\"00:15:5d:01:02\"}]}",
	  "mac: must be of the form" },
	{ HEAD ",\"nics\":[{\"kind\":\"user\",\"mac\":\"00:15:5d:01:02:03 \"}]}",
	  "mac: must be of the form" },
	{ HEAD ",\"nics\":[{\"kind\":\"user\",\"mac\":\"ff:ff:ff:ff:ff:ff\"}]}",
	  "no address of a single adapter" },
	{ HEAD ",\"nics\":[{\"kind\":\"user\",\"mac\":\"00:00:00:00:00:00\"}]}",
	  "no address of a single adapter" },
	{ HEAD ",\"nics\":[{\"kind\":\"none\",\"mac\":\"02:00:00:00:00:01\"},"
	       "{\"kind\":\"none\",\"mac\":\"02:00:00:00:00:01\"}]}",
	  "nics[1].mac: adapter 0 has the same" },
	{ HEAD ",\"nics\":[{\"kind\":\"none\",\"number\":8}]}",
	  "nics[0].number: must be an integer from 0 to 7" },
	{ HEAD ",\"nics\":[{\"kind\":\"none\",\"number\":\"1\"}]}",
	  "nics[0].number: must be an integer" },
	{ HEAD ",\"nics\":[{\"kind\":\"none\",\"number\":7},{\"kind\":\"none\"}]}",
	  "nics[1].number: there is none behind 7" },
	{ HEAD
	  ",\"nics\":[{\"kind\":\"none\",\"number\":1},{\"kind\":\"none\",\"number\":0},"
	  "{\"kind\":\"none\"}]}",
	  "nics[2].number: there is an adapter 1 already" },
	{ HEAD ",\"nics\":[{\"kind\":\"none\",\"link\":0}]}",
	  "nics[0].link: must be true or false" },
	{ HEAD ",\"nics\":[{\"kind\":\"tap\"}]}", "tap: is missing" },
	{ HEAD ",\"nics\":[{\"kind\":\"tap\",\"tap\":\"a/b\"}]}",
	  "tap: must be the name" },
	{ HEAD ",\"nics\":[{\"kind\":\"tap\",\"tap\":\"1234567890123456\"}]}",
	  "tap: must be the name" },
	{ HEAD ",\"nics\":[{\"kind\":\"user\",\"tap\":\"tap0\"}]}", "kind \"tap\"" },
	{ HEAD ",\"nics\":[{\"kind\":\"none\",\"host_loopback\":true}]}",
	  "host_loopback: is for" },
	{ HEAD ",\"nics\":[{\"kind\":\"user\",\"forwards\":[1]}]}",
	  "nics[0].forwards[0]: must be an object" },
	{ HEAD ",\"nics\":[{\"kind\":\"user\",\"forwards\":[{\"protocol\":\"tcp\","
	       "\"address\":\"localhost\",\"port\":1,\"guest_port\":1}]}]}",
	  "IPv4 address" },
	{ HEAD ",\"nics\":[{\"kind\":\"user\",\"forwards\":[{\"protocol\":\"tcp\","
	       "\"address\":\"0.0.0.0\",\"port\":65536,\"guest_port\":1}]}]}",
	  "from 1 to 65535" },
	{ HEAD
	  ",\"nics\":[{\"kind\":\"user\",\"forwards\":[{\"protocol\":\"tcp\","
	  "\"address\":\"0.0.0.0\",\"port\":80,\"guest_port\":1},{\"protocol\":\"tcp\","
	  "\"address\":\"127.0.0.1\",\"port\":80,\"guest_port\":2}]}]}",
	  "forwards[1]: port 80 is taken" },
	{ HEAD ",\"colour\":1}", "colour: there is no such member" },
	{ HEAD ",\"processors\":{\"count\":0}}",
	  "processors.count: 0 is not between 1 and 64" },
	{ HEAD ",\"processors\":{\"count\":65}}", "65 is not between" },
	{ HEAD ",\"processors\":{\"sockets\":1}}",
	  "processors.sockets: there is no such member" },
	{ HEAD ",\"processors\":2}", "processors: must be an object" },
	{ HEAD ",\"boot\":{\"kernel\":\"vmlinuz\"}}",
	  "boot.kernel: 'vmlinuz' must be an absolute path" },
	{ HEAD ",\"boot\":{\"kernel\":\"/a\\tb\"}}",
	  "boot.kernel: must hold no control" },
	{ HEAD ",\"boot\":{\"initrd\":\"/i\"}}", "boot.initrd: needs a boot.kernel" },
	{ HEAD ",\"boot\":{\"cmdline\":null}}", "boot.cmdline: must be a string" },
	{ HEAD ",\"scsi\":{}}", "scsi: must be an array" },
	{ HEAD ",\"scsi\":[{},{},{},{},{}]}", "at most 4 controllers" },
	{ HEAD ",\"scsi\":[1]}", "scsi[0]: must be an object" },
	{ HEAD ",\"scsi\":[{},{\"drives\":[7]}]}", "scsi[1].drives[0]" },
	{ HEAD ",\"scsi\":[{\"drives\":[{\"kind\":\"disk\",\"path\":\"/x\"}]}]}",
	  "scsi[0].drives[0].lun: is missing" },
	{ HEAD
	  ",\"scsi\":[{\"drives\":[{\"lun\":64,\"kind\":\"disk\",\"path\":\"/x\"}]}]}",
	  "lun: must be an integer from 0 to 63" },
	{ HEAD
	  ",\"scsi\":[{\"drives\":[{\"lun\":0,\"kind\":\"tape\",\"path\":\"/x\"}]}]}",
	  "kind: must be" },
	{ HEAD ",\"scsi\":[{\"drives\":[{\"lun\":0,\"kind\":\"disk\"}]}]}",
	  "scsi[0].drives[0].path: a disk needs one" },
	{ HEAD ",\"scsi\":[{\"drives\":[{\"lun\":0,\"kind\":\"disk\",\"path\":null}]}]}",
	  "a disk needs one" },
	{ HEAD ",\"scsi\":[{\"drives\":[{\"lun\":3,\"kind\":\"dvd\"},"
	       "{\"lun\":3,\"kind\":\"disk\",\"path\":\"/x\"}]}]}",
	  "scsi[0].drives[1].lun: 3 is taken" },
	{ HEAD ",\"scsi\":[{\"drives\":[{\"lun\":0,\"kind\":\"disk\",\"path\":\"/"
	       "x\",\"serial\":\"\"}]}]}",
	  "serial: must be 1 to 32" },
	{ HEAD ",\"scsi\":[{\"drives\":[{\"lun\":0,\"kind\":\"disk\",\"path\":\"/"
	       "x\",\"serial\":7}]}]}",
	  "serial: must be 1 to 32" },
	{ HEAD ",\"scsi\":[{\"drives\":[{\"lun\":0,\"kind\":\"disk\",\"path\":\"/"
	       "x\",\"serial\":\"a b\"}]}]}",
	  "serial: must be 1 to 32" },
	{ HEAD ",\"scsi\":[{\"drives\":[{\"lun\":0,\"kind\":\"disk\",\"path\":\"/"
	       "x\",\"serial\":\"123456789012345678901234567890123\"}]}]}",
	  "serial: must be 1 to 32" },
	{ HEAD ",\"scsi\":[{\"drives\":[{\"lun\":0,\"kind\":\"disk\",\"path\":\"/"
	       "x\",\"cache\":\"writethrough\"}]}]}",
	  "cache: must be" },
	{ HEAD ",\"scsi\":[{\"drives\":[{\"lun\":0,\"kind\":\"disk\",\"path\":\"/"
	       "x\",\"cache\":null}]}]}",
	  "cache: must be" },
	{ HEAD ",\"scsi\":[{\"drives\":[{\"lun\":0,\"kind\":\"disk\",\"path\":\"/"
	       "x\",\"max_iops\":-1}]}]}",
	  "max_iops: must be an integer" },
	{ HEAD ",\"scsi\":[{\"drives\":[{\"lun\":0,\"kind\":\"disk\",\"path\":\"/"
	       "x\",\"max_iops\":1000000001}]}]}",
	  "max_iops: must be" },
	{ HEAD ",\"scsi\":[{\"drives\":[{\"lun\":0,\"kind\":\"disk\",\"path\":\"/"
	       "x\",\"min_iops\":1.5}]}]}",
	  "min_iops: must be" },
	{ HEAD ",\"scsi\":[{\"drives\":[{\"lun\":0,\"kind\":\"disk\",\"path\":\"/"
	       "x\",\"min_iops\":2,\"max_iops\":1}]}]}",
	  "min_iops: 2 is above max_iops, 1" },
	{ HEAD ",\"scsi\":[{\"drives\":[{\"lun\":0,\"kind\":\"disk\",\"path\":\"/"
	       "x\",\"on_error\":\"ignore\"}]}]}",
	  "on_error: must be" },
	{ HEAD ",\"scsi\":[{\"drives\":[{\"lun\":0,\"kind\":\"disk\",\"path\":\"/"
	       "x\",\"shared\":1}]}]}",
	  "shared: must be true" },
	{ HEAD ",\"scsi\":[{\"drives\":[{\"lun\":0,\"kind\":\"disk\",\"path\":\"/"
	       "x\",\"shared\":true,\"cache\":\"unsafe\"}]}]}",
	  "a shared disk can not be" },
	{ HEAD ",\"scsi\":[{\"drives\":[{\"lun\":0,\"kind\":\"dvd\",\"shared\":true}]}]}",
	  "a DVD is read-only" },
	{ HEAD ",\"scsi\":[{\"drives\":[{\"lun\":0,\"kind\":\"disk\",\"path\":\"/"
	       "x.AVHDX\",\"shared\":true}]}]}",
	  "only a raw image" },
	{ HEAD ",\"integration\":{\"heartbeat\":1}}",
	  "integration.heartbeat: must be true or false" },
	{ HEAD ",\"disk_channels\":65}",
	  "disk_channels: must be an integer from 0 to 64" },
	{ HEAD ",\"disk_channels\":-1}", "disk_channels: must be" },
	{ HEAD ",\"disk_channels\":\"2\"}", "disk_channels: must be" },
	{ HEAD ",\"on_triple_fault\":\"explode\"}", "on_triple_fault: must be" },
	{ HEAD ",\"group\":\"\"}", "group: must be 1 to 64" },
	{ HEAD ",\"group\":\"a b\"}", "group: must be 1 to 64" },
	{ HEAD ",\"group\":\"a\\u00e9\"}", "group: must be 1 to 64" },
	{ HEAD ",\"group\":[]}", "group: must be 1 to 64" },
	{ HEAD ",\"tags\":\"a\"}", "tags: must be an array" },
	{ HEAD ",\"tags\":[\"a\",\"b,c\"]}", "tags[1]: must be 1 to 64" },
	{ HEAD ",\"tags\":[\"a\",\"a\"]}", "tags[1]: \"a\" is there already" },
	{ HEAD ",\"tags\":[null]}", "tags[0]: must be 1 to 64" },
	{ HEAD ",\"automatic\":\"always\"}", "automatic: must be an object" },
	{ HEAD ",\"automatic\":{\"start\":true}}",
	  "automatic.start: must be \"nothing\", \"if_running\" or \"always\"" },
	{ HEAD ",\"automatic\":{\"stop\":\"save\"}}",
	  "automatic.stop: must be \"shutdown\" or \"turn_off\"" },
	{ HEAD ",\"automatic\":{\"delay_s\":86401}}",
	  "automatic.delay_s: must be an integer from 0 to 86400" },
	{ HEAD ",\"automatic\":{\"delay_s\":-1}}", "automatic.delay_s: must be" },
	{ HEAD ",\"automatic\":{\"stop_timeout_s\":1.5}}",
	  "automatic.stop_timeout_s: must be" },
	{ HEAD ",\"automatic\":{\"when\":1}}", "automatic.when: there is no such" },
	{ HEAD ",\"restart\":\"always\"}",
	  "restart: must be \"never\" or \"on_failure\"" },
};

START_TEST(refuses)
{
	struct vm_config c = { .processors = 77 };
	struct config_error e = { "" };
	int r = config_parse(bad[_i].text, strlen(bad[_i].text), &c, &e);

	ck_assert_msg(r == -EINVAL, "%s: %d", bad[_i].text, r);
	ck_assert_msg(strstr(e.message, bad[_i].message), "%s: said '%s'", bad[_i].text,
		      e.message);
	ck_assert_ptr_null(strchr(e.message, '\n'));
	ck_assert_uint_eq(c.processors, 77);
}
END_TEST

START_TEST(refuses_what_is_too_long)
{
	size_t len = CONFIG_TEXT_MAX + 1;
	char *text = malloc(len), name[600];
	struct config_error e;
	struct vm_config c;

	memset(text, ' ', len);
	ck_assert_int_eq(config_parse(text, len, &c, &e), -EFBIG);
	free(text);
	memset(name, 'x', sizeof(name));
	name[CONFIG_NAME_CHARS + 1] = 0;
	ck_assert_int_eq(config_check_name(name, &e), -EINVAL);
	name[CONFIG_NAME_CHARS] = 0;
	ck_assert_int_eq(config_check_name(name, &e), 0);
	for (size_t i = 0; i <= CONFIG_NAME_CHARS; i++)
		memcpy(name + 4 * i, "\xf0\x9f\x90\xa7", 5);
	ck_assert_int_eq(config_check_name(name, &e), -EINVAL);
	name[4 * CONFIG_NAME_CHARS] = 0;
	ck_assert_int_eq(config_check_name(name, &e), 0);
}
END_TEST

static const char whole[] =
	"{\"schema\":1,\"name\":\"web "
	"1\",\"notes\":\"two\\nlines\",\"processors\":{\"count\":64},"
	"\"memory\":{\"bytes\":8388608},\"boot\":{\"kernel\":\"/"
	"k\",\"initrd\":\"/i\",\"cmdline\":\"a=b\"},"
	"\"scsi\":[{},{\"drives\":[{\"lun\":63,\"kind\":\"disk\","
	"\"path\":\"/d\",\"read_only\":true},"
	"{\"lun\":1,\"kind\":\"dvd\",\"path\":null}]}],"
	"\"integration\":{\"heartbeat\":false,\"time_sync\":true},"
	"\"cpu\":{\"weight\":7,\"limit\":80,\"reserve\":30},\"io\":{\"weight\":9},"
	"\"disk_channels\":5,\"on_triple_fault\":\"off\","
	"\"group\":\"shop\",\"tags\":[\"env=prod\",\"db\"],"
	"\"automatic\":{\"start\":\"always\",\"delay_s\":30,"
	"\"stop\":\"turn_off\",\"stop_timeout_s\":7},"
	"\"restart\":\"on_failure\"}";

static void check_whole(const struct vm_config *c)
{
	ck_assert_str_eq(c->name, "web 1");
	ck_assert_str_eq(c->notes, "two\nlines");
	ck_assert_uint_eq(c->processors, 64);
	ck_assert_uint_eq(c->memory_bytes, 8 << 20);
	ck_assert_str_eq(c->kernel, "/k");
	ck_assert_str_eq(c->initrd, "/i");
	ck_assert_str_eq(c->cmdline, "a=b");
	ck_assert_uint_eq(c->controllers, 2);
	ck_assert_uint_eq(c->drive_count, 2);
	ck_assert_uint_eq(c->drives[0].lun, 1);
	ck_assert_uint_eq(c->drives[0].controller, 1);
	ck_assert_int_eq(c->drives[0].kind, DRIVE_DVD);
	ck_assert_ptr_null(c->drives[0].path);
	ck_assert(c->drives[0].read_only);
	ck_assert_uint_eq(c->drives[1].lun, 63);
	ck_assert_str_eq(c->drives[1].path, "/d");
	ck_assert(!c->integration.heartbeat && c->integration.shutdown);
	ck_assert_int_eq(c->on_triple_fault, TRIPLE_FAULT_OFF);
	ck_assert_uint_eq(c->limits.cpu_weight, 7);
	ck_assert_uint_eq(c->limits.cpu_limit, 80);
	ck_assert_uint_eq(c->limits.cpu_reserve, 30);
	ck_assert_uint_eq(c->limits.io_weight, 9);
	ck_assert_uint_eq(c->limits.memory_limit, 0);
	ck_assert_uint_eq(c->disk_channels, 5);
	ck_assert_str_eq(c->group, "shop");
	ck_assert_uint_eq(c->tag_count, 2);
	ck_assert(config_has_tag(c, "env=prod") && config_has_tag(c, "db") &&
		  !config_has_tag(c, "env"));
	ck_assert_int_eq(c->automatic.start, AUTO_START_ALWAYS);
	ck_assert_uint_eq(c->automatic.delay_s, 30);
	ck_assert_int_eq(c->automatic.stop, AUTO_STOP_TURN_OFF);
	ck_assert_uint_eq(c->automatic.stop_timeout_s, 7);
	ck_assert_int_eq(c->restart, RESTART_ON_FAILURE);
}

static const struct {
	unsigned int asked, processors, channels;
} channels[] = {
	{ 0, 1, 1 },  { 0, 4, 1 }, { 0, 5, 2 },    { 0, 64, 16 },
	{ 1, 64, 1 }, { 8, 4, 4 }, { 64, 64, 64 }, { 64, 1, 1 },
};

START_TEST(counts_disk_channels)
{
	const struct vm_config c = { .disk_channels = channels[_i].asked,
				     .processors = channels[_i].processors };

	ck_assert_uint_eq(config_disk_channels(&c), channels[_i].channels);
}
END_TEST

START_TEST(reads_all_and_writes_it_back)
{
	struct vm_config c, again;
	struct config_error e;
	json_t *j;

	ck_assert_int_eq(config_parse(whole, strlen(whole), &c, &e), 0);
	check_whole(&c);
	j = config_to_json(&c);
	ck_assert_int_eq(config_from_json(j, &again, &e), 0);
	check_whole(&again);
	json_decref(j);
	config_done(&c);
	config_done(&again);
}
END_TEST

START_TEST(defaults)
{
	struct config_error e;
	struct vm_config c;

	ck_assert_int_eq(config_parse(HEAD "}", strlen(HEAD "}"), &c, &e), 0);
	ck_assert_uint_eq(c.processors, 1);
	ck_assert_ptr_null(c.kernel);
	ck_assert_str_eq(c.cmdline, "");
	ck_assert(c.integration.heartbeat && c.integration.shutdown &&
		  c.integration.time_sync);
	ck_assert_uint_eq(c.controllers, 0);
	ck_assert_str_eq(c.group, "");
	ck_assert_uint_eq(c.tag_count, 0);
	ck_assert_int_eq(c.automatic.start, AUTO_START_IF_RUNNING);
	ck_assert_int_eq(c.automatic.stop, AUTO_STOP_SHUTDOWN);
	ck_assert_uint_eq(c.automatic.stop_timeout_s, CONFIG_STOP_SECONDS);
	ck_assert_int_eq(c.restart, RESTART_NEVER);
	config_done(&c);
}
END_TEST

static const struct {
	const char *patch, *message; /* NULL: taken */
	const char *diff, *waiting;  /* names of members */
} patches[] = {
	{ "[]", "must be an object" },
	{ "{\"memory\":null}", "memory: is missing" },
	{ "{\"memory\":{\"bytes\":1}}", "below the minimum" },
	{ "{\"name\":\"x/y\"}", "no '/'" },
	{ "{\"bogus\":1}", "bogus: there is no such member" },
	{ "{\"scsi\":[{\"drives\":[{\"lun\":0}]}]}", "kind: is missing" },
	{ "{\"tags\":null}", NULL, "tags", "" },
	{ "{\"group\":null}", NULL, "group", "" },
	{ "{\"automatic\":{\"start\":null}}", NULL, "automatic", "" },
	{ "{\"restart\":\"never\"}", NULL, "restart", "" },
	{ "{}", NULL, "", "" },
	{ "{\"name\":\"other\",\"notes\":null,\"integration\":{\"heartbeat\":true}}",
	  NULL, "name notes integration", "" },
	{ "{\"memory\":{\"bytes\":134217728},\"notes\":\"x\"}", NULL, "notes memory",
	  "memory" },
	{ "{\"cpu\":{\"limit\":20}}", "cpu.reserve: is more" },
	{ "{\"cpu\":{\"limit\":40},\"io\":{\"weight\":1},\"host_memory\":{\"limit\":"
	  "1073741824}}",
	  NULL, "cpu io host_memory", "" },
	{ "{\"memory\":{\"bytes\":8388608}}", NULL, "", "" },
	{ "{\"processors\":{\"count\":2},\"on_triple_fault\":\"reset\"}", NULL,
	  "processors on_triple_fault", "processors on_triple_fault" },
	{ "{\"boot\":{\"initrd\":null}}", NULL, "boot", "boot" },
	{ "{\"boot\":null}", NULL, "boot", "boot" },
	{ "{\"scsi\":[]}", NULL, "scsi", "" },
};

/* That these are the names, with a blank between two; takes the list. */
static void check_names(json_t *names, const char *want)
{
	char text[200] = "";
	json_t *name;
	size_t i;

	json_array_foreach (names, i, name) {
		strcat(text, i ? " " : "");
		strcat(text, json_string_value(name));
	}
	ck_assert_ptr_nonnull(names);
	ck_assert_str_eq(text, want);
	json_decref(names);
}

START_TEST(patch)
{
	struct vm_config c, next;
	struct config_error e;
	json_t *p = json_loads(patches[_i].patch, 0, NULL), *at_start;
	int r;

	ck_assert_int_eq(config_parse(whole, strlen(whole), &c, &e), 0);
	r = config_patch(&c, p, &next, &e);
	if (patches[_i].message) {
		ck_assert_int_eq(r, -EINVAL);
		ck_assert_msg(strstr(e.message, patches[_i].message), "%s", e.message);
	} else {
		ck_assert_msg(r == 0, "%s: %s", patches[_i].patch, e.message);
		at_start = config_at_start(&c);
		check_names(config_diff(&c, &next), patches[_i].diff);
		check_names(config_waiting(&next, at_start), patches[_i].waiting);
		json_decref(at_start);
		config_done(&next);
	}
	check_whole(&c);
	config_done(&c);
	json_decref(p);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("config");
	TCase *t = tcase_create("parse");

	tcase_add_loop_test(t, refuses, 0, ARRAY_SIZE(bad));
	tcase_add_test(t, refuses_what_is_too_long);
	tcase_add_test(t, reads_all_and_writes_it_back);
	tcase_add_test(t, defaults);
	tcase_add_loop_test(t, patch, 0, ARRAY_SIZE(patches));
	tcase_add_loop_test(t, counts_disk_channels, 0, ARRAY_SIZE(channels));
	suite_add_tcase(s, t);
	return s;
}

TEST_MAIN(suite)
