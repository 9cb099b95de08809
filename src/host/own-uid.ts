/**
 * Whose process a shell is, into `self`: read by the shell itself, because every program that is
 * started costs. Source: proc(5).
 */
export const READ_OWN_UID =
  'self=; while read -r key self rest; do [ "$key" != Uid: ] || break; done </proc/self/status'
