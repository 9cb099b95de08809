/**
 * Exit codes in words.
 */

/** What each exit code means, whatever the error. */
export const EXIT_MEANINGS: Readonly<Record<number, string>> = {
  0: 'done',
  1: 'failed',
  2: 'wrong command line or cluster file, or not confirmed',
  3: 'partly done, or a check is not OK',
  10: 'no such repository or backup',
  11: 'locked by other work',
  12: 'wrong key',
  13: 'repository damaged',
  20: 'PostgreSQL unreachable',
  21: 'PostgreSQL refused the login',
  22: 'wrong or missing version of PostgreSQL',
  23: 'other system identifier or timeline',
  30: 'host unreachable',
  31: 'command on a host failed',
  40: 'store failed',
  50: 'target not reachable, WAL is missing',
  51: 'unsafe without --allow-data-loss',
  70: 'bug in Backstay',
  126: 'recovery must stop (wal get)',
  129: 'interrupted by SIGHUP',
  130: 'interrupted by SIGINT (Ctrl-C)',
  141: 'the reader of the output went away',
  143: 'interrupted by SIGTERM',
}
