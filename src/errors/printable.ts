/**
 * Text as a terminal may be given it. Much of what is printed comes from servers, hosts and
 * repositories: names, messages, labels. A control sequence in it could rewrite what stands above,
 * set the window's title, or answer a question; a character that is not seen makes two names look
 * like one.
 */

/**
 * All of Unicode's category C (controls, formats such as turns of direction and tags, halves of
 * surrogate pairs, private use, what is unassigned), what is not shown where a font does not know
 * it (joiners, fillers, variation selectors), and separators of lines. Not even joiners within
 * emoji or Persian words are let through: what is spelled out can still be read.
 */
const UNSEEN = String.raw`[\p{C}\p{Default_Ignorable_Code_Point}\p{Zl}\p{Zp}]`

/**
 * Our own colours (cli/output/colour.ts) pass, and line ends and tabs, which are matched to be
 * left.
 */
const IN_TEXT = new RegExp(String.raw`\u001b\[(?:2|22|31|32|33|39)m|[\t\n]|${UNSEEN}`, 'gu')
const IN_WORD = new RegExp(UNSEEN, 'gu')
// oxlint-disable-next-line no-control-regex
const OURS = /^(?:\u001b\[\d+m|[\t\n])$/

/**
 * The text with each such character as `\x1b`, `\u202e` or `\u{e0041}`; line ends, tabs and our
 * colours stay.
 */
export function printable(text: string): string {
  return text.replace(IN_TEXT, (found) => (OURS.test(found) ? found : spelled(found)))
}

/** A name or label, which stays in its line: nothing is left in it that is not seen. */
export function printableWord(text: string): string {
  return text.replace(IN_WORD, spelled)
}

/** Whether all of it is seen. */
export function isPrintableWord(text: string): boolean {
  return printableWord(text) === text
}

/** JSON whose strings are the same, with such characters as its own escapes. */
export function printableJson(json: string): string {
  return json.replace(IN_WORD, (found) =>
    found === '\n' ? found : found.replaceAll(/[^]/g, jsonEscape),
  )
}

function spelled(character: string): string {
  const code = (character.codePointAt(0) ?? 0).toString(16)
  if (code.length <= 2) return String.raw`\x` + code.padStart(2, '0')
  return code.length <= 4 ? String.raw`\u` + code.padStart(4, '0') : String.raw`\u{${code}}`
}

/** Of one UTF-16 unit. */
function jsonEscape(unit: string): string {
  return String.raw`\u` + unit.charCodeAt(0).toString(16).padStart(4, '0')
}
