/**
 * Tar archives for tests, written from POSIX's description and on purpose without the reader's code.
 */

/** What an archive is made of. */
export interface TarItem {
  readonly path: string
  readonly kind?: 'file' | 'directory' | 'link'
  readonly content?: Uint8Array
  readonly target?: string
  readonly mode?: number
  readonly modifiedAtMs?: number
  /** Claimed size, when it is not the content's. */
  readonly sizeBytes?: number
}

const FLAGS = { file: '0', directory: '5', link: '2' } as const

/** The header block of one entry. */
export function tarHeader(item: TarItem): Buffer {
  const { path, kind = 'file', content, target = '', mode = 0o600, modifiedAtMs = 0 } = item
  const header = Buffer.alloc(512)
  header.write(path, 0)
  header.write(octal(mode, 7), 100)
  header.write(octal(0, 7), 108)
  header.write(octal(0, 7), 116)
  writeSize(header, item.sizeBytes ?? content?.length ?? 0)
  header.write(octal(Math.floor(modifiedAtMs / 1000), 11), 136)
  header.write('        ', 148)
  header.write(FLAGS[kind], 156)
  header.write(target, 157)
  header.write('ustar\x0000', 257)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${octal(sum, 6)}\0 `, 148, 'latin1')
  return header
}

/** A whole archive, with the two blocks of zeros that end it unless told otherwise. */
export function tarArchive(items: readonly TarItem[], options = { withEnd: true }): Buffer {
  const blocks = items.flatMap((item) => {
    const content = item.content ?? Buffer.alloc(0)
    return [tarHeader(item), content, Buffer.alloc((512 - (content.length % 512)) % 512)]
  })
  return Buffer.concat([...blocks, Buffer.alloc(options.withEnd ? 1024 : 0)])
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, '0')
}

function writeSize(header: Buffer, size: number): void {
  if (size < 8 ** 11) {
    header.write(octal(size, 11), 124)
    return
  }
  header[124] = 0x80
  header.writeBigUInt64BE(BigInt(size), 128)
}
