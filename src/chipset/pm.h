/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the ACPI fixed hardware and the reset register stand, and the values that the tables and the devices share.
 */
#ifndef CHIPSET_PM_H
#define CHIPSET_PM_H

#define PM1_EVENT_PORT 0x600u
#define PM1_EVENT_BYTES 4u
#define PM1_CONTROL_PORT 0x604u
#define PM1_CONTROL_BYTES 2u
#define PM_TIMER_PORT 0x608u
#define PM_TIMER_BYTES 4u
#define PM_SCI_GSI 9u
#define PM_SLP_TYP_S5 5u

#define RESET_PORT 0xcf9u
#define RESET_VALUE 0x06u /* hard reset, now */

#endif
