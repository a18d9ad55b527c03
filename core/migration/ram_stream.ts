/**
 * The messages of a migration, both ways. A message is a row of a Link: type, page, bytes, and a page's content. A type of 0 is none:
 * the connection is broken (LINK_BROKEN).
 *
 * Pairs with source.ts and destination.ts. Source: QEMU's stream, migration/ram.c and savevm.c.
 */

export const StreamMessage = {
  /** A page with its content. */
  Page: 1,
  /** A page that is all zero. */
  Zero: 2,
  /** CMD_PACKAGED: LISTEN, device state, RUN. */
  Packaged: 3,
  /** Every page was sent. */
  End: 4,
  /** CMD_POSTCOPY_RAM_DISCARD: of `word0` pages from `page` on, what pre-copy sent is old. */
  Discard: 5,
  /** CMD_POSTCOPY_LISTEN: pre-copy is over; from here on pages are placed, and missing ones asked for. */
  Listen: 6,
  /** RAM_SAVE_FLAG_MULTIFD_FLUSH: what follows must not overtake what the other channel was given before. */
  MultifdFlush: 7,
  /** MULTIFD_FLAG_SYNC, on the other channel: all of that was read up to here. */
  MultifdSync: 8,
  /** QEMU_VM_SECTION_FULL: the device state, after all RAM; the guest goes on at the destination. */
  Devices: 9,
  /** RAM_SAVE_FLAG_XBZRLE: a page by its difference. Words: what to exclusive-or with those that are there; version: what to add. */
  Xbzrle: 10,
  /** CMD_RECV_BITMAP: which pages have come? */
  RecvBitmap: 11,
  /** CMD_POSTCOPY_RESUME: what had not come will be sent again from here on. */
  Resume: 12,
  /** A page that the source cannot read, since its memory has failed. Not in QEMU, which knows no such page once it migrates. */
  Poison: 13,
} as const

export const ReturnMessage = {
  /** MIG_RP_MSG_REQ_PAGES */
  RequestPages: 1,
  /** MIG_RP_MSG_SHUT: the destination has everything. `page` is 0, or 1 after an error. */
  Shut: 2,
  /** MIG_RP_MSG_RECV_BITMAP, the words of it for 64 pages from `page` on: a bit is 1 if the destination has received its page. */
  ReceivedBits: 3,
  /** Its end. */
  ReceivedEnd: 4,
  /** MIG_RP_MSG_RESUME_ACK */
  ResumeAck: 5,
} as const
