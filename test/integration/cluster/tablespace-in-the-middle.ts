/**
 * A proxy in the middle of an unencrypted replication connection that adds a tablespace, and a file in it, to the answer of
 * BASE_BACKUP (15+: all archives in one COPY).
 */
import { createServer, connect, type Socket } from 'node:net'
import { once } from 'node:events'
import { tarEnd, tarHeader, tarPadding } from '../../../src/postgres/tar/tar-writer.ts'
import { claimPort } from '../../harness/ports.ts'

/** What it adds. */
export interface AddedTablespace {
  readonly oid: number
  readonly location: string
  readonly file: { readonly path: string; readonly content: string }
}

/** Listens until disposed; everything else passes as it is. */
export async function startMiddle(
  upstreamPort: number,
  added: AddedTablespace,
): Promise<AsyncDisposable & { readonly port: number }> {
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    const upstream = connect(upstreamPort, '127.0.0.1')
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => [client, upstream].forEach((each) => each.destroy()))
    }
    client.pipe(upstream)
    const edit = editor(added)
    upstream.on('data', (chunk: Buffer) => void client.write(edit(chunk)))
  })
  const port = await claimPort()
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return {
    port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

/** Rewrites the server's messages: one more row in the list of tablespaces, one more archive before the first. */
function editor(added: AddedTablespace): (chunk: Buffer) => Buffer {
  let pending = Buffer.alloc(0)
  let isList = false
  let isDone = false
  const rewrite = (message: Buffer): Buffer => {
    const type = String.fromCharCode(message[0] ?? 0)
    if (type === 'T') {
      isList = message.includes('spclocation')
      return isList ? Buffer.concat([message, row(added)]) : message
    }
    if (type !== 'd' || !isList || isDone) return message
    isDone = true
    return Buffer.concat([...archive(added), message])
  }
  return (chunk) => {
    // The answer to a wish for encryption is one letter.
    if (pending.length === 0 && chunk.length === 1) return chunk
    pending = Buffer.concat([pending, chunk])
    const whole: Buffer[] = []
    while (pending.length >= 5 && pending.length >= pending.readUInt32BE(1) + 1) {
      const end = pending.readUInt32BE(1) + 1
      whole.push(rewrite(pending.subarray(0, end)))
      pending = pending.subarray(end)
    }
    return Buffer.concat(whole)
  }
}

function message(type: string, body: Buffer): Buffer {
  const head = Buffer.alloc(5)
  head.write(type)
  head.writeUInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}

function row({ oid, location }: AddedTablespace): Buffer {
  const count = Buffer.alloc(2)
  count.writeUInt16BE(3)
  const fields = [String(oid), location, '1'].map((text) => {
    const length = Buffer.alloc(4)
    length.writeUInt32BE(Buffer.byteLength(text))
    return Buffer.concat([length, Buffer.from(text)])
  })
  return message('D', Buffer.concat([count, ...fields]))
}

function archive({ oid, location, file }: AddedTablespace): Buffer[] {
  const sizeBytes = Buffer.byteLength(file.content)
  const entry = { kind: 'file', path: file.path, mode: 0o644, sizeBytes, modifiedAtMs: 0 } as const
  const content = [tarHeader(entry), Buffer.from(file.content), tarPadding(sizeBytes)]
  const tar = Buffer.concat(content)
  return [
    message('d', Buffer.from(`n${oid}.tar\0${location}\0`)),
    message('d', Buffer.concat([Buffer.from('d'), tar, tarEnd(tar.length)])),
  ]
}
