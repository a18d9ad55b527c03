/**
 * The program's version, as reports and files carry it.
 *
 * A test holds it against package.json, which core may not read.
 */
export const VERSION = '0.1.0'
