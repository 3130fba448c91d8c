/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where COM1 stands: for the device and for the tables that name it.
 */
#ifndef CHIPSET_COM_H
#define CHIPSET_COM_H

#define COM1_PORT 0x3f8u
#define COM1_GSI 4u

#endif
