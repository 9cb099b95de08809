/**
 * IP addresses and ranges as numbers: what a CIDR or an address with a mask covers.
 */
import { isIPv4, isIPv6 } from 'node:net'

/** An address. IPv4 and IPv6 never equal each other, not even as `::ffff:a.b.c.d`. */
export interface IpAddress {
  readonly family: 4 | 6
  readonly value: bigint
}

/** All addresses that agree with `value` in the bits of `mask`. */
export interface IpNetwork extends IpAddress {
  readonly mask: bigint
}

/** Reads a numeric address; undefined for a host name. A zone (`%eth0`) is ignored. */
export function parseIpAddress(text: string): IpAddress | undefined {
  if (isIPv4(text)) return { family: 4, value: fromParts(text.split('.').map(Number), 8n) }
  const address = text.replace(/%.*$/, '')
  return isIPv6(address) ? { family: 6, value: fromParts(ipv6Words(address), 16n) } : undefined
}

/** The mask of the first `bits` bits; undefined when the family has not so many. */
export function prefixMask(family: 4 | 6, bits: number): bigint | undefined {
  const width = family === 4 ? 32 : 128
  if (!Number.isInteger(bits) || bits < 0 || bits > width) return undefined
  return ((1n << BigInt(bits)) - 1n) << BigInt(width - bits)
}

/** Whether `address` lies in `network`. */
export function networkHolds(network: IpNetwork, address: IpAddress): boolean {
  return (
    network.family === address.family &&
    (network.value & network.mask) === (address.value & network.mask)
  )
}

function ipv6Words(address: string): number[] {
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address)
  const text =
    dotted === null
      ? address
      : `${dotted[1]}${hexWord(dotted[2], dotted[3])}:${hexWord(dotted[4], dotted[5])}`
  const [head = '', tail] = text.split('::')
  const words = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((word) => Number.parseInt(word, 16))
  const before = words(head)
  const after = words(tail ?? '')
  return [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after]
}

function hexWord(high: string | undefined, low: string | undefined): string {
  return (Number(high) * 256 + Number(low)).toString(16)
}

function fromParts(parts: readonly number[], bits: bigint): bigint {
  return parts.reduce((value, part) => (value << bits) | BigInt(part), 0n)
}
