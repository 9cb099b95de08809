/**
 * SASLprep of passwords as PostgreSQL does it: a password that SASLprep prohibits is used as it is.
 * Code points added to Unicode after 3.2 are normalised instead of prohibited, which leaves them
 * unchanged in practice. Source: RFC 4013, RFC 3454; PostgreSQL src/common/saslprep.c.
 */

/** RFC 3454 table C.1.2: spaces other than U+0020 become one. */
const OTHER_SPACES = /[\u00A0\u1680\u2000-\u200B\u202F\u205F\u3000]/gu
/** RFC 3454 table B.1: commonly mapped to nothing. */
const NOTHING =
  /\u00AD|\u034F|\u1806|[\u180B-\u180D]|[\u200C\u200D]|\u2060|[\uFE00-\uFE0F]|\uFEFF/gu
/**
 * RFC 3454 tables C.2 to C.9: control, private use, non-characters, surrogates, tagging and the
 * like.
 */
const PROHIBITED =
  /\p{Cc}|\p{Co}|\p{Cs}|[\u0340\u0341\u06DD\u070F\u180E\u200E\u200F\u2028-\u202E\u2061-\u2063\u206A-\u206F\u2FF0-\u2FFB\uFDD0-\uFDEF\uFFF9-\uFFFF]|[\u{1D173}-\u{1D17A}\u{E0001}\u{E0020}-\u{E007F}]/u
/** RFC 3454 tables D.1 and D.2, by script. */
const RIGHT_TO_LEFT = /[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}]/u
const LEFT_TO_RIGHT =
  /(?!\p{Script=Hebrew}|\p{Script=Arabic}|\p{Script=Syriac}|\p{Script=Thaana})\p{L}/u

/** The password as it enters the SCRAM computation. */
export function saslprep(password: string): string {
  const prepared = password.replace(OTHER_SPACES, ' ').replace(NOTHING, '').normalize('NFKC')
  const isAllowed = prepared !== '' && !PROHIBITED.test(prepared) && !mixesDirections(prepared)
  return isAllowed ? prepared : password
}

/**
 * RFC 3454 section 6: right-to-left text must start and end so, and hold nothing of the other
 * direction.
 */
function mixesDirections(text: string): boolean {
  if (!RIGHT_TO_LEFT.test(text)) return false
  const characters = Array.from(text)
  const edges = [characters[0], characters.at(-1)]
  return LEFT_TO_RIGHT.test(text) || !edges.every((edge) => RIGHT_TO_LEFT.test(edge ?? ''))
}
