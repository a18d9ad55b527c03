/**
 * The messages of a migration, both ways. A message is a row of a Link: type, page, bytes, and a page's content.
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
} as const

export const ReturnMessage = {
  /** MIG_RP_MSG_REQ_PAGES */
  RequestPages: 1,
  /** MIG_RP_MSG_SHUT: the destination has everything. `page` is 0, or 1 after an error. */
  Shut: 2,
} as const
