/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmctl/vmctl.h"

#include <string.h>

/* The table that the parser, --help, completion and the test of vmctl(1) read. Shorthand for its rows only. */
#define OPTIONS (const struct option[])
#define END          \
	{            \
		NULL \
	}
#define TIMEOUT(what)                                         \
	{                                                     \
		"timeout", OPT_COUNT, "SECONDS", .help = what \
	}
#define ON_OFF(name, what)                                         \
	{                                                          \
		name, OPT_CHOICE, "on|off", "on|off", .help = what \
	}
#define SHAPE                                                                           \
	{ "cpus", OPT_COUNT, "N", .help = "virtual processors" },                       \
		{ "kernel", OPT_PATH, "FILE",                                           \
		  .help = "what to boot: a Linux bzImage or a PVH ELF image" },         \
		{ "initrd", OPT_PATH, "FILE", .help = "initial RAM file system" },      \
		{ "cmdline", OPT_TEXT, "TEXT", .help = "the kernel's command line" },   \
		{ "notes", OPT_TEXT, "TEXT", .help = "a note, shown by vmctl show" },   \
		{ "group", OPT_TEXT, "GROUP|none", .help = "the group that it is of" }, \
		{ "tags", OPT_TEXT, "TAG,...|none", .help = "what to find it by" },     \
		{ "auto-start", OPT_CHOICE, "WHEN", "nothing|if_running|always",        \
		  .help = "start it when the host has booted (if_running: if it ran "   \
			  "before)" },                                                  \
		{ "auto-delay", OPT_SECONDS, "SECONDS",                                 \
		  .help = "how long after vmms began that is (0)" },                    \
		{ "auto-stop", OPT_CHOICE, "HOW", "shutdown|turn_off",                  \
		  .help = "what happens to it when the host shuts down (shutdown)" },   \
		{ "auto-stop-timeout", OPT_SECONDS, "SECONDS",                          \
		  .help = "how long its guest may take then; it is turned off (120)" }, \
		{ "restart", OPT_CHOICE, "WHEN", "never|on_failure",                    \
		  .help = "whether it is started again when its worker dies (never)" }, \
		ON_OFF("heartbeat", "the heartbeat integration service"),               \
		ON_OFF("shutdown", "the shutdown integration service"),                 \
		ON_OFF("time-sync", "the time synchronization integration service"),    \
		{ "disk-channels", OPT_COUNT, "N",                                      \
		  .help = "VMBus channels of a SCSI controller (one for four cpus)" },  \
	{                                                                               \
		"on-triple-fault", OPT_CHOICE, "reset|off", "reset|off",                \
			.help = "what a triple fault does (reset)"                      \
	}

#define LIMITS                                                                         \
	{ "cpu-weight", OPT_COUNT, "N",                                                \
	  .help = "its share of the processors against other VMs (100)" },             \
		{ "cpu-limit", OPT_COUNT, "PERCENT",                                   \
		  .help = "the most of its processors that it may use (100)" },        \
		{ "cpu-reserve", OPT_SECONDS, "PERCENT",                               \
		  .help = "what it gets of them whatever others do (0)" },             \
		{ "memory-limit", OPT_SIZE, "SIZE",                                    \
		  .help = "the most of the host's memory that it may use (0: none)" }, \
		{ "memory-reserve", OPT_SIZE, "SIZE",                                  \
		  .help = "what the host takes from others first (0)" },               \
	{                                                                              \
		"io-weight", OPT_COUNT, "N",                                           \
			.help = "its share of the disks against other VMs (100)"       \
	}

#define DETACH                                                                     \
	{                                                                          \
		"detach", OPT_FLAG, .help = "begin the job and do not wait for it" \
	}
#define IMAGE_SHAPE                                                                \
	{ "type", OPT_CHOICE, "TYPE", "fixed|dynamic",                             \
	  .help = "fixed or dynamic (dynamic)" },                                  \
		{ "block-size", OPT_SIZE, "SIZE",                                  \
		  .help = "of a VHDX 1M to 256M (32M), of a VHD 2M or 512K" },     \
		{ "sector-size", OPT_COUNT, "N", .help = "logical, 512 or 4096" }, \
		{ "physical-sector-size", OPT_COUNT, "N", .help = "512 or 4096" }, \
	{                                                                          \
		"force", OPT_FLAG, .help = "replace a file that is there"          \
	}
#define POLICIES                                                                        \
	{ "min-iops", OPT_TEXT, "N|none",                                               \
	  .help = "tell when it gets less, in I/O of 8 KiB a second" },                 \
		{ "max-iops", OPT_TEXT, "N|none",                                       \
		  .help = "let it have no more, in I/O of 8 KiB a second" },            \
	{                                                                               \
		"on-error", OPT_CHOICE, "report|pause", "report|pause",                 \
			.help = "what an I/O error does: the guest sees it, or the VM " \
				"is "                                                   \
				"paused (report)"                                       \
	}
#define DISK_SHAPE                                                                       \
	{ "read-only", OPT_FLAG, .help = "the guest may not write it" },                 \
		{ "serial", OPT_TEXT, "TEXT", .help = "its serial number (a new one)" }, \
		{ "cache", OPT_CHOICE, "MODE", "writeback|none|unsafe",                  \
		  .help = "writeback, none or unsafe (writeback)" },                     \
	{                                                                                \
		"shared", OPT_FLAG, .help = "other VMs may have it too"                  \
	}
#define PORT                                                                           \
	{ "switch", OPT_TEXT, "NAME", .help = "the virtual switch that it is on" },    \
		{ "vlan", OPT_TEXT, "N|none",                                          \
		  .help = "its VLAN; with --trunk, that "                              \
			  "of frames without a tag" },                                 \
		{ "trunk", OPT_TEXT, "LIST|none",                                      \
		  .help = "VLANs whose frames keep their tags, as 10,20-29" },         \
		ON_OFF("mac-spoofing", "it may send from other addresses (off)"),      \
		ON_OFF("dhcp-guard", "it may not be a DHCP server (off)"),             \
		ON_OFF("router-guard", "it may not be an IPv6 router (off)"),          \
		{ "mirror", OPT_CHOICE, "MODE", "none|source|destination",             \
		  .help = "frames of sources are copied to destinations: none, "       \
			  "source, destination" },                                     \
		{ "max", OPT_TEXT, "RATE|none",                                        \
		  .help = "bits a second that it may send, as 100M" },                 \
	{                                                                              \
		"acl", OPT_TEXT, "ACL",                                                \
			.repeat = true,                                                \
			.help = "allow|deny:in|out|both:ADDRESS[/BITS] or any, again " \
				"for more; none"                                       \
	}
#define SWITCH_SHAPE                                                                    \
	{ "address", OPT_TEXT, "ADDRESS", .repeat = true,                               \
	  .help = "of the host, as 10.9.0.1/24; may be given again; none" },            \
		ON_OFF("nat", "guests reach the world as the host (off)"),              \
		ON_OFF("dhcp", "guests are given addresses by dnsmasq (off)"),          \
	{                                                                               \
		"mtu", OPT_COUNT, "N", .help = "of the host's side, 576 to 9000 (1500)" \
	}
#define AT                                                               \
	{                                                                \
		"at", OPT_TEXT, "C:L", .help = "SCSI controller and LUN" \
	}

const struct option verbs_common[] = {
	{ "socket", OPT_PATH, "SOCKET",
	  .help = "where vmms listens (" VMCTL_SOCKET ", or $VMMS_SOCKET)" },
	{ "json", OPT_FLAG, .help = "print one JSON document" },
	{ "help", OPT_FLAG, .help = "print this" },
	END
};

const struct verb verbs[] = {
	{ "create",
	  "NAME",
	  { WORD_NAME },
	  "make a VM, which is then off",
	  "Disks are VHDX, VHD or raw images, as their names say, or block devices. "
	  "Disks "
	  "and DVDs\n"
	  "keep their order: the first is LUN 0 of SCSI controller 0, the next LUN 1. "
	  "FILE,size=10G makes\n"
	  "an empty one, which is deleted again when the VM cannot be made.",
	  OPTIONS{ { "memory", OPT_SIZE, "SIZE",
		     .help = "memory, such as 64M or 2G (512M)" },
		   SHAPE,
		   LIMITS,
		   { "disk", OPT_PATH, "FILE[,size=SIZE]", .repeat = true,
		     .help = "a disk; may be given again" },
		   { "dvd", OPT_PATH, "FILE", .repeat = true,
		     .help = "a DVD with this ISO image; may be given again" },
		   { "nic", OPT_TEXT, "NIC", .repeat = true,
		     .help = "a network adapter (user); may be given again; none" },
		   END },
	  "create web1 --memory 2G --cpus 2 --kernel vmlinuz --initrd initrd.img "
	  "--cmdline 'root=/dev/sda console=ttyS0' --disk web1.img\n"
	  "create web2 --kernel vmlinuz --disk web2.vhdx,size=20G\n"
	  "create demo --memory 64M --cpus 2 --kernel bare.elf",
	  "vm.create",
	  verb_create },
	{ "list",
	  "",
	  { WORD_NONE },
	  "list all VMs",
	  NULL,
	  OPTIONS{ { "group", OPT_TEXT, "GROUP", .help = "those of this group only" },
		   { "tag", OPT_TEXT, "TAG", .help = "those with this tag only" },
		   END },
	  "list\nlist --tag env=prod --json",
	  "vm.list",
	  verb_list },
	{ "show",
	  "NAME",
	  { WORD_VM },
	  "show all that is known of a VM",
	  NULL,
	  NULL,
	  "show web1\nshow web1 --json | jq .status.channels",
	  "vm.show",
	  verb_show },
	{ "start",
	  "NAME",
	  { WORD_VM },
	  "start a VM",
	  NULL,
	  OPTIONS{ { "wait", OPT_CHOICE, "running|heartbeat", "running|heartbeat",
		     .help = "until its processors run, or its guest's heartbeat is Ok "
			     "(running)" },
		   TIMEOUT("how long to wait for the heartbeat (60)"),
		   END },
	  "start web1\nstart web1 --wait heartbeat --timeout 120",
	  "vm.start",
	  verb_start },
	{ "stop",
	  "NAME",
	  { WORD_VM },
	  "stop a VM",
	  "Asks the guest to shut down, through the shutdown integration service, and "
	  "waits until it\n"
	  "is off. A guest that does not listen needs --force.",
	  OPTIONS{ { "force", OPT_FLAG,
		     .help = "turn it off at once, as by its power switch" },
		   TIMEOUT("how long the guest may take (60)"),
		   END },
	  "stop web1\nstop web1 --force",
	  "vm.stop",
	  verb_stop },
	{ "restart",
	  "NAME",
	  { WORD_VM },
	  "restart a VM",
	  "Asks the guest to restart, through the shutdown integration service.",
	  OPTIONS{ { "force", OPT_FLAG,
		     .help = "reset it at once, as by its reset button" },
		   TIMEOUT("how long the guest may take (60)"),
		   END },
	  "restart web1\nrestart web1 --force",
	  "vm.restart",
	  verb_stop },
	{ "pause",
	  "NAME",
	  { WORD_VM },
	  "halt a VM's processors where they are",
	  NULL,
	  NULL,
	  "pause web1",
	  "vm.pause",
	  verb_power },
	{ "resume",
	  "NAME",
	  { WORD_VM },
	  "let a paused VM go on",
	  NULL,
	  NULL,
	  "resume web1",
	  "vm.resume",
	  verb_power },
	{ "console",
	  "NAME",
	  { WORD_VM },
	  "attach to a VM's first serial port",
	  "Ctrl-] leaves; the VM goes on. Where standard input is no terminal it is sent "
	  "to the\n"
	  "guest, and the console is printed until the VM is off.",
	  NULL,
	  "console web1\nconsole web1 </dev/null >web1.console",
	  "vm.console",
	  verb_console },
	{ "set",
	  "NAME",
	  { WORD_VM },
	  "change a VM",
	  "What a VM that runs cannot take waits for its next start; vmctl says what "
	  "that "
	  "is, and vmctl\n"
	  "show has it under Pending.",
	  OPTIONS{ { "name", OPT_TEXT, "NAME", .help = "another name" },
		   { "memory", OPT_SIZE, "SIZE", .help = "memory, such as 64M or 2G" },
		   SHAPE,
		   LIMITS,
		   END },
	  "set web1 --memory 4G --cpus 4\nset web1 --tags env=prod,db --auto-start "
	  "always\n"
	  "set web1 --cpu-limit 50 --cpu-reserve 10",
	  "vm.set",
	  verb_set },
	{ "rename",
	  "NAME NEW",
	  { WORD_VM, WORD_NAME },
	  "give a VM another name; it may run",
	  NULL,
	  NULL,
	  "rename web1 www",
	  "vm.set",
	  verb_rename },
	{ "delete",
	  "NAME",
	  { WORD_VM },
	  "delete a VM that is off; its disks stay",
	  NULL,
	  NULL,
	  "delete web1",
	  "vm.delete",
	  verb_delete },
	{ "disk list",
	  "NAME",
	  { WORD_VM },
	  "list a VM's drives",
	  NULL,
	  NULL,
	  "disk list web1\ndisk list web1 --json | jq '.drives[].bytes'",
	  "disk.list",
	  verb_disk_list },
	{ "disk attach",
	  "NAME FILE",
	  { WORD_VM, WORD_FILE },
	  "add a disk or DVD to a VM, which may run",
	  "FILE is a VHDX or VHD image, a raw image or a block device. A full file "
	  "system below it\n"
	  "pauses the VM until there is room and it is resumed; the guest sees no error.",
	  OPTIONS{ AT,
		   { "dvd", OPT_FLAG, .help = "a DVD with this ISO image" },
		   DISK_SHAPE,
		   POLICIES,
		   END },
	  "disk attach web1 data.vhdx\n"
	  "disk attach web1 /dev/sdb --at 1:0 --max-iops 2000",
	  "disk.attach",
	  verb_disk_attach },
	{ "disk detach",
	  "NAME DRIVE",
	  { WORD_VM, WORD_DRIVE },
	  "take a drive from a VM, which may run; its file stays",
	  "DRIVE is its place, as 0:1, or its file. Done when nothing uses the file any "
	  "more. Unmount it in\n"
	  "the guest before.",
	  NULL,
	  "disk detach web1 0:1\ndisk detach web1 data.vhdx",
	  "disk.detach",
	  verb_disk_detach },
	{ "disk set",
	  "NAME DRIVE",
	  { WORD_VM, WORD_DRIVE },
	  "change a drive",
	  "DRIVE is its place, as 0:1, or its file. Rates and --on-error change at once; "
	  "the rest while the VM\n"
	  "is off.",
	  OPTIONS{ POLICIES, DISK_SHAPE, END },
	  "disk set web1 0:1 --max-iops 500\ndisk set web1 0:1 --max-iops none",
	  "disk.set",
	  verb_disk_set },
	{ "disk resize",
	  "NAME DRIVE",
	  { WORD_VM, WORD_DRIVE },
	  "make a disk larger, or have the guest see that it is",
	  "DRIVE is its place, as 0:1, or its file. A guest that runs sees the new size "
	  "at "
	  "once. Without\n"
	  "--size it is that of the file or device, which was made larger by other "
	  "means.",
	  OPTIONS{ { "size", OPT_SIZE, "SIZE", .help = "its new size, such as 20G" },
		   END },
	  "disk resize web1 0:0 --size 40G\ndisk resize web1 0:1",
	  "disk.resize",
	  verb_disk_resize },
	{ "dvd insert",
	  "NAME FILE",
	  { WORD_VM, WORD_FILE },
	  "put an ISO image into a VM's DVD drive",
	  "It takes the place of the medium that is there, even of one that the guest "
	  "has locked.",
	  OPTIONS{ AT, END },
	  "dvd insert web1 debian.iso",
	  "dvd.insert",
	  verb_dvd_insert },
	{ "dvd eject",
	  "NAME",
	  { WORD_VM },
	  "take the medium out of a VM's DVD drive",
	  "A guest that has locked the tray, as Linux does while it is mounted, is asked "
	  "to let it go.",
	  OPTIONS{ AT,
		   { "force", OPT_FLAG,
		     .help = "even when the guest has locked the tray" },
		   END },
	  "dvd eject web1\ndvd eject web1 --force",
	  "dvd.eject",
	  verb_dvd_eject },
	{ "wait",
	  "NAME STATE",
	  { WORD_VM, WORD_STATE },
	  "wait until a VM is running, paused or off, or has a heartbeat",
	  NULL,
	  OPTIONS{ TIMEOUT("how long (60)"), END },
	  "wait web1 heartbeat\nwait web1 off --timeout 300",
	  "vm.wait",
	  verb_wait },
	{ "events",
	  "",
	  { WORD_NONE },
	  "print what happened to VMs",
	  "With --follow and --json each event is one line.",
	  OPTIONS{
		  { "since", OPT_COUNT, "N", .help = "those after this sequence number" },
		  { "follow", OPT_FLAG, .help = "go on printing as they come" },
		  END },
	  "events\nevents --follow",
	  "events.next",
	  verb_events },
	{ "log",
	  "NAME",
	  { WORD_VM },
	  "print the end of a VM's log",
	  NULL,
	  OPTIONS{ { "lines", OPT_COUNT, "N", .help = "how many lines (50)" }, END },
	  "log web1\nlog web1 --lines 500",
	  "vm.log",
	  verb_log },
	{ "vhd create",
	  "IMAGE",
	  { WORD_FILE },
	  "make a disk image",
	  "Its name says the format: .vhdx or .avhdx, .vhd or .avhd, else it is raw. "
	  "With "
	  "--parent it is\n"
	  "a differencing image, which holds what differs from its parent.",
	  OPTIONS{ { "size", OPT_SIZE, "SIZE",
		     .help = "of the disk, such as 20G; with --parent as the parent's" },
		   { "parent", OPT_PATH, "FILE", .help = "a differencing image over it" },
		   IMAGE_SHAPE,
		   DETACH,
		   END },
	  "vhd create web1.vhdx --size 40G\n"
	  "vhd create web2.avhdx --parent base.vhdx",
	  "vhd.create",
	  verb_vhd },
	{ "vhd info",
	  "IMAGE",
	  { WORD_FILE },
	  "show what a disk image is, and its parents",
	  NULL,
	  NULL,
	  "vhd info web1.vhdx\nvhd info web1.vhdx --json | jq .disk_bytes",
	  "vhd.info",
	  verb_vhd_info },
	{ "vhd convert",
	  "IMAGE TARGET",
	  { WORD_FILE, WORD_FILE },
	  "copy a disk to a new image of another format or kind",
	  "The target's name says its format. It holds all that the image and its "
	  "parents "
	  "hold, and has no\n"
	  "parent. It appears when it is whole.",
	  OPTIONS{ IMAGE_SHAPE, DETACH, END },
	  "vhd convert azure.vhd web1.vhdx\n"
	  "vhd convert web1.vhdx web1.vhd --type fixed",
	  "vhd.convert",
	  verb_vhd_convert },
	{ "vhd check",
	  "IMAGE",
	  { WORD_FILE },
	  "look for damage in a disk image; changes nothing",
	  "The exit status is 1 when something is damaged.",
	  OPTIONS{ DETACH, END },
	  "vhd check web1.vhdx",
	  "vhd.check",
	  verb_vhd },
	{ "vhd repair",
	  "IMAGE",
	  { WORD_FILE },
	  "mend what can be mended in a damaged disk image",
	  "A block whose place is lost reads as zeros, or as the parent's, afterwards: "
	  "copy "
	  "the image first.\n"
	  "The exit status is 1 when something is damaged still.",
	  OPTIONS{ DETACH, END },
	  "vhd repair web1.vhdx",
	  "vhd.repair",
	  verb_vhd },
	{ "vhd resize",
	  "IMAGE",
	  { WORD_FILE },
	  "change the size of a disk that no VM uses",
	  NULL,
	  OPTIONS{ { "size", OPT_SIZE, "SIZE", .help = "of the disk, such as 80G" },
		   { "shrink", OPT_FLAG,
		     .help = "it may become smaller, where no data stand behind" },
		   DETACH,
		   END },
	  "vhd resize web1.vhdx --size 80G\nvhd resize web1.vhdx --size 20G --shrink",
	  "vhd.resize",
	  verb_vhd },
	{ "vhd compact",
	  "IMAGE",
	  { WORD_FILE },
	  "make an image's file as small as its content allows",
	  NULL,
	  OPTIONS{ DETACH, END },
	  "vhd compact web1.vhdx",
	  "vhd.compact",
	  verb_vhd },
	{ "vhd merge",
	  "IMAGE",
	  { WORD_FILE },
	  "put what a differencing image holds into its parent, and delete it",
	  "Other differencing images of the same parent are of no use afterwards.",
	  OPTIONS{ DETACH, END },
	  "vhd merge web1.avhdx",
	  "vhd.merge",
	  verb_vhd },
	{ "vhd set-parent",
	  "IMAGE PARENT",
	  { WORD_FILE, WORD_FILE },
	  "say where the parent of a differencing image is now",
	  NULL,
	  OPTIONS{ { "ignore-id", OPT_FLAG,
		     .help = "take it though it is not the one that the image was made "
			     "over" },
		   DETACH,
		   END },
	  "vhd set-parent web1.avhdx /srv/templates/base.vhdx",
	  "vhd.set_parent",
	  verb_vhd_set_parent },
	{ "job list",
	  "",
	  { WORD_NONE },
	  "list the jobs that run, and the last that ended",
	  NULL,
	  NULL,
	  "job list",
	  "job.list",
	  verb_job_list },
	{ "job show",
	  "JOB",
	  { WORD_JOB },
	  "show a job",
	  NULL,
	  NULL,
	  "job show 7",
	  "job.show",
	  verb_job },
	{ "job cancel",
	  "JOB",
	  { WORD_JOB },
	  "ask a job to end; nothing that was there before is lost",
	  NULL,
	  NULL,
	  "job cancel 7",
	  "job.cancel",
	  verb_job },
	{ "job wait",
	  "JOB",
	  { WORD_JOB },
	  "wait until a job has ended",
	  "The exit status is 0 when it is Completed.",
	  OPTIONS{ TIMEOUT("how long (60)"), END },
	  "job wait 7 --timeout 3600",
	  "job.wait",
	  verb_job_wait },
	{ "nic list",
	  "NAME",
	  { WORD_VM },
	  "list a VM's network adapters",
	  NULL,
	  NULL,
	  "nic list web1",
	  "vm.show",
	  verb_nic_list },
	{ "nic add",
	  "NAME NIC",
	  { WORD_VM, WORD_NAME },
	  "give a VM a network adapter; one that runs has it at once",
	  "NIC is user (behind address translation, with DHCP and DNS), switch=NAME, "
	  "tap=INTERFACE, "
	  "or "
	  "none (a\n"
	  "cable that leads nowhere), then any of ,mac=ADDRESS and for user ,host (the "
	  "gateway's\n"
	  "address 10.0.2.2 leads to what listens on this host's 127.0.0.1) and\n"
	  ",forward=tcp|udp:[ADDRESS:]PORT:GUEST_PORT.",
	  NULL,
	  "nic add web1 user,forward=tcp:2222:22\nnic add web1 "
	  "tap=tap0,mac=00:15:5d:00:00:01",
	  "nic.add",
	  verb_nic_add },
	{ "nic set",
	  "NAME NUMBER",
	  { WORD_VM, WORD_NAME },
	  "change a network adapter",
	  "The link of a running VM's adapter and its port of a virtual switch change at "
	  "once, the\nrest only while it is off.",
	  OPTIONS{ { "link", OPT_CHOICE, "up|down", "up|down",
		     .help = "plug its cable in, or pull it" },
		   { "mac", OPT_TEXT, "ADDRESS",
		     .help = "its address; own: one of its own" },
		   PORT,
		   END },
	  "nic set web1 0 --link down\nnic set web1 0 --mac 00:15:5d:00:00:01\n"
	  "nic set web1 0 --switch lan --vlan 10 --dhcp-guard on\n"
	  "nic set web1 0 --acl allow:out:10.0.0.0/8 --acl deny:both:any",
	  "nic.set",
	  verb_nic_set },
	{ "nic remove",
	  "NAME NUMBER",
	  { WORD_VM, WORD_NAME },
	  "take a network adapter from a VM; one that runs loses it at once",
	  NULL,
	  NULL,
	  "nic remove web1 0",
	  "nic.remove",
	  verb_nic_remove },
	{ "perf",
	  "NAME",
	  { WORD_VM },
	  "show what a VM does, in numbers",
	  "Rates between two readings, under the names of Hyper-V's performance "
	  "counters. With\n"
	  "--json one reading, of totals; with --watch a line for each.",
	  OPTIONS{ { "watch", OPT_FLAG, .help = "go on until interrupted" },
		   { "interval", OPT_COUNT, "SECONDS",
		     .help = "between two readings (1)" },
		   END },
	  "perf web1\nperf web1 --watch --interval 5\n"
	  "perf web1 --json | jq '.vms[0].sets[] | select(.set == \"storage\")'",
	  "perf.get",
	  verb_perf },
	{ "meter enable",
	  "NAME",
	  { WORD_VM },
	  "begin to meter what a VM uses",
	  "Goes on over restarts of the VM and of vmms, until meter disable.",
	  NULL,
	  "meter enable web1",
	  "meter.enable",
	  verb_meter },
	{ "meter show",
	  "NAME",
	  { WORD_VM },
	  "show what a VM used since its metering began",
	  NULL,
	  NULL,
	  "meter show web1\nmeter show web1 --json | jq .cpu_us",
	  "meter.show",
	  verb_meter },
	{ "meter reset",
	  "NAME",
	  { WORD_VM },
	  "begin a VM's metering anew",
	  NULL,
	  NULL,
	  "meter reset web1",
	  "meter.reset",
	  verb_meter },
	{ "meter disable",
	  "NAME",
	  { WORD_VM },
	  "meter a VM no more, and forget what it used",
	  NULL,
	  NULL,
	  "meter disable web1",
	  "meter.disable",
	  verb_meter },
	{ "proxy",
	  "",
	  { WORD_NONE },
	  "connect standard input and output to vmms",
	  "vmctl --host runs it by ssh on the other host.",
	  NULL,
	  "proxy",
	  NULL,
	  verb_proxy },
	{ "switch create",
	  "NAME",
	  { WORD_NAME },
	  "make a virtual switch",
	  "private: guests only. internal: guests and the host, which has --address on "
	  "it.\nexternal: guests, the host and the network of --interface, whose "
	  "addresses and routes\nbecome the switch's; they go back when it is deleted. "
	  "Only root may, or a vmms with\nCAP_NET_ADMIN.",
	  OPTIONS{ { "type", OPT_CHOICE, "TYPE", "private|internal|external",
		     .help = "private, internal or external" },
		   { "interface", OPT_TEXT, "NAME",
		     .help = "the host's, for an external switch" },
		   SWITCH_SHAPE,
		   END },
	  "switch create lan --type private\n"
	  "switch create default --type internal --address 192.168.90.1/24 --nat on "
	  "--dhcp on\n"
	  "switch create world --type external --interface eth0",
	  "switch.create",
	  verb_switch_create },
	{ "switch delete",
	  "SWITCH",
	  { WORD_NAME },
	  "delete a virtual switch that no VM uses",
	  NULL,
	  NULL,
	  "switch delete lan",
	  "switch.delete",
	  verb_switch_delete },
	{ "switch list",
	  "",
	  { WORD_NONE },
	  "list the virtual switches",
	  NULL,
	  NULL,
	  "switch list",
	  "switch.list",
	  verb_switch_list },
	{ "switch show",
	  "SWITCH",
	  { WORD_NAME },
	  "show a virtual switch and its ports",
	  NULL,
	  NULL,
	  "switch show lan",
	  "switch.show",
	  verb_switch_show },
	{ "switch set",
	  "SWITCH",
	  { WORD_NAME },
	  "change what a virtual switch offers",
	  "It goes on meanwhile. --address replaces all of them; none removes them.",
	  OPTIONS{ SWITCH_SHAPE, END },
	  "switch set default --dhcp off",
	  "switch.set",
	  verb_switch_set },
	{ "host check",
	  "",
	  { WORD_NONE },
	  "say whether this host can run VMs, and what is missing",
	  "The exit status is 1 when something is missing.",
	  NULL,
	  "host check",
	  "host.check",
	  verb_host_check },
	{ "host info",
	  "",
	  { WORD_NONE },
	  "show what this host and its vmms are",
	  NULL,
	  NULL,
	  "host info",
	  "host.info",
	  verb_host_info },
	{ "host stop-vms",
	  "",
	  { WORD_NONE },
	  "stop all VMs that run, for the shutdown of the host",
	  "Each as its --auto-stop says, all at the same time; done when all are off. "
	  "After the host's next\n"
	  "boot they are started as their --auto-start says. The service does this when "
	  "the host shuts down.",
	  OPTIONS{ TIMEOUT("how long a guest may take, if its own bound is longer"),
		   END },
	  "host stop-vms\nhost stop-vms --timeout 60",
	  "host.stop_vms",
	  verb_host_stop_vms },
};
const size_t verbs_count = ARRAY_SIZE(verbs);

const struct verb *verb_find(const char *first, const char *second)
{
	size_t len = strlen(first);

	for (size_t i = 0; i < verbs_count; i++) {
		const char *name = verbs[i].name;

		if (strncmp(name, first, len) != 0)
			continue;
		if (name[len] == '\0')
			return &verbs[i];
		if (name[len] == ' ' && second && strcmp(name + len + 1, second) == 0)
			return &verbs[i];
	}
	return NULL;
}

bool verb_is_noun(const char *word)
{
	size_t len = strlen(word);

	for (size_t i = 0; i < verbs_count; i++)
		if (strncmp(verbs[i].name, word, len) == 0 && verbs[i].name[len] == ' ')
			return true;
	return false;
}

size_t verb_count_words(const struct verb *verb)
{
	size_t n = 0;

	while (n < ARGS_WORDS_MAX && verb->kinds[n] != WORD_NONE)
		n++;
	return n;
}
