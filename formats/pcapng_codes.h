/* formats: the bytes of files; no call of the system. */
/* The numbers of pcapng, draft-ietf-opsawg-pcapng: those that are written or read here. */
#pragma once

enum block_type {
	BLOCK_INTERFACE_DESCRIPTION = 1,
	BLOCK_PACKET = 2, /* obsolete */
	BLOCK_SIMPLE_PACKET = 3, /* has no time */
	BLOCK_NAME_RESOLUTION = 4,
	BLOCK_INTERFACE_STATISTICS = 5,
	BLOCK_ENHANCED_PACKET = 6,
	BLOCK_SECTION_HEADER = 0x0a0d0d0a,
};

enum option_code {
	OPTION_END = 0,
	OPTION_COMMENT = 1,
	SHB_OS = 3,
	SHB_USER_APPLICATION = 4,
	IDB_NAME = 2,
	IDB_DESCRIPTION = 3,
	IDB_TIMESTAMP_RESOLUTION = 9,
	IDB_FILTER = 11,
	IDB_OS = 12,
	IDB_TIMESTAMP_OFFSET = 14,
	ISB_START_TIME = 2,
	ISB_END_TIME = 3,
	ISB_RECEIVED = 4,
	ISB_DROPPED = 5,
	ISB_FILTER_ACCEPTED = 6,
	ISB_SYSTEM_DROPPED = 7,
	ISB_DELIVERED = 8,
};

/* Of a name resolution block; its end is an option's. */
enum name_record { NAME_OF_IPV4 = 1, NAME_OF_IPV6 = 2 };

#define IPV4_LENGTH 4

#define BYTE_ORDER_MAGIC 0x1a2b3c4d
#define SECTION_LENGTH_UNKNOWN UINT64_MAX
#define FILTER_IS_TEXT 0 /* if_filter's first octet: a libpcap expression */
