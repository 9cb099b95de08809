/**
 * The streaming clients of servers.
 */
import type { BarmanServer } from '../../config/barman/model.ts'
import { bytesBetween, formatLsn, type Lsn } from '../../postgres/lsn.ts'
import { type SqlClient, withSql } from '../../wire/sql-client.ts'
import type { BarmanContext } from '../context.ts'
import { prettySize } from '../output/pretty.ts'
import type { Json } from '../output/python-json.ts'
import { connectionOf, sqlConnection } from '../server/connections.ts'
import { severalServers } from '../server/chosen-servers.ts'

interface Client {
  readonly pid: number
  readonly usename: string
  readonly application_name: string
  readonly client_addr: string | null
  readonly client_hostname: string | null
  readonly client_port: number | null
  readonly started: string
  readonly state: string
  readonly sent_lsn: Lsn | null
  readonly write_lsn: Lsn | null
  readonly flush_lsn: Lsn | null
  readonly replay_lsn: Lsn | null
  readonly sync_priority: number
  readonly sync_state: string
  readonly slot_name: string | null
  readonly backend_xmin: string | null
}

interface StreamingFound {
  readonly lsn: Lsn
  readonly isPrimary: boolean
  readonly clients: readonly Client[]
}

type Target = 'all' | 'hot-standby' | 'wal-streamer'

const TITLES: Readonly<Record<Target, string>> = {
  all: 'streaming clients',
  'hot-standby': 'hot standby servers',
  'wal-streamer': 'WAL streamers',
}

/** @throws {BackstayError} POSTGRES_UNREACHABLE, POSTGRES_AUTH, … */
export async function run(context: BarmanContext): Promise<void> {
  const { output, options } = context
  const target = (options.target ?? 'all') as Target
  for (const server of severalServers(context, { skipPassive: true })) {
    const found = await ask(context, server, target)
    if (options.minimal === true) output.lines(...minimalText(server, target, found))
    else output.lines(...fullText(server, target, found))
    output.data(server.name, {
      server_lsn: formatLsn(found.lsn),
      streaming_clients: found.clients.map((client) => clientJson(client, found)),
    })
  }
}

async function ask(
  context: BarmanContext,
  server: BarmanServer,
  target: Target,
): Promise<StreamingFound> {
  const { environment, signal, options } = context
  const wal = server.options.get('wal_conninfo')
  const connection =
    options.source === 'wal-host' && wal !== undefined
      ? connectionOf(wal, environment)
      : sqlConnection(server, environment)
  return await withSql({ ...connection, signal }, async (sql) => askClients(sql, target))
}

async function askClients(sql: SqlClient, target: Target): Promise<StreamingFound> {
  const { lsn, recovering } = await sql.one<{ lsn: Lsn; recovering: boolean }>(
    `SELECT pg_is_in_recovery() AS recovering, CASE WHEN pg_is_in_recovery()
      THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END AS lsn`,
  )
  const clients = await sql.query<Client>(
    `SELECT r.pid, usename, application_name, host(client_addr) AS client_addr, client_hostname,
      client_port, backend_start::text AS started, state, sent_lsn, write_lsn, flush_lsn, replay_lsn,
      sync_priority, sync_state, slot_name, backend_xmin::text AS backend_xmin
    FROM pg_stat_replication r LEFT JOIN pg_replication_slots ON active_pid = r.pid
    ORDER BY sync_state DESC, sync_priority, backend_start`,
  )
  return {
    lsn,
    isPrimary: !recovering,
    clients: clients.filter(
      (client) => target === 'all' || isStandby(client) === (target === 'hot-standby'),
    ),
  }
}

/** A receiver of WAL replays nothing. */
function isStandby(client: Client): boolean {
  return client.replay_lsn !== null
}

function stageOf(client: Client, lsn: Lsn): string {
  const most = isStandby(client) ? 5 : 3
  if (isStandby(client) && client.replay_lsn === lsn) return '5/5 Hot standby (max)'
  if (isStandby(client) && client.flush_lsn === lsn) return '4/5 2-safe'
  if (client.write_lsn === lsn) return `3/${most} Remote write`
  return client.sent_lsn === lsn ? `2/${most} WAL Sent (min)` : `1/${most} 1-safe`
}

function nameOf(client: Client): string {
  const kind = isStandby(client) ? 'standby' : 'WAL streamer'
  const state = `${client.sync_state.charAt(0).toUpperCase()}${client.sync_state.slice(1)}`
  const rank = client.sync_priority > 0 ? `#${client.sync_priority} ` : ''
  return `${rank}${state} ${kind}`
}

function positionsOf(client: Client): (readonly [name: string, lsn: Lsn])[] {
  const all = [
    ['Sent', client.sent_lsn],
    ['Write', client.write_lsn],
    ['Flush', client.flush_lsn],
    ['Replay', client.replay_lsn],
  ] as const
  return all.flatMap(([name, lsn]) => (lsn === null ? [] : [[name, lsn] as const]))
}

function fullText(
  server: BarmanServer,
  target: Target,
  { lsn, isPrimary, clients }: StreamingFound,
): string[] {
  const title = TITLES[target]
  const head = [
    `Status of ${title} for server '${server.name}':`,
    `  Current LSN on ${isPrimary ? 'master' : 'slave'}: ${formatLsn(lsn)}`,
  ]
  if (clients.length === 0) return [...head, `  No ${title} attached`]
  const number = `  Number of ${title}: ${clients.length}`
  return [...head, number, ...clients.flatMap((client, index) => clientText(client, index, lsn))]
}

function clientText(client: Client, index: number, lsn: Lsn): string[] {
  const { client_addr: address, client_port: port, client_hostname: host } = client
  const rows = [
    ['Application name', client.application_name],
    ['Sync stage      ', stageOf(client, lsn)],
    ['Communication   ', address === null ? 'Unix domain socket' : 'TCP/IP'],
    ...(address === null
      ? []
      : [['IP Address      ', `${address} / Port: ${port} / Host: ${host ?? '-'}`]]),
    ['User name       ', client.usename],
    ['Current state   ', `${client.state} (${client.sync_state})`],
    ...(client.slot_name === null ? [] : [['Replication slot', client.slot_name]]),
    ['WAL sender PID  ', String(client.pid)],
    ['Started at      ', `${client.started}:00`],
    ...(client.backend_xmin === null ? [] : [["Standby's xmin  ", client.backend_xmin]]),
    ...positionsOf(client).map(([name, at]) => [
      `${`${name} LSN`.padEnd(10)} `,
      `${formatLsn(at)} (diff: ${prettySize(bytesBetween(lsn, at))})`,
    ]),
  ]
  return [
    '',
    `  ${index + 1}. ${nameOf(client)}`,
    ...rows.map(([key, value]) => `     ${key}: ${value}`),
  ]
}

function minimalText(
  server: BarmanServer,
  target: Target,
  { lsn, isPrimary, clients }: StreamingFound,
): string[] {
  const title = TITLES[target]
  const role = isPrimary ? 'master' : 'slave'
  const head = `${title.charAt(0).toUpperCase()}${title.slice(1)} for ${role} '${server.name}' (LSN @ ${formatLsn(lsn)}):`
  if (clients.length === 0) return [head, `  No ${title} attached`]
  return [head, ...clients.map((client, index) => `  ${index + 1}. ${minimalClient(client)}`)]
}

function minimalClient(client: Client): string {
  const text = (lsn: Lsn | null): string => (lsn === null ? 'None' : formatLsn(lsn))
  const who = `${client.usename}@${client.client_addr ?? 'None'} S:${text(client.sent_lsn)}`
  const tail = `P:${client.sync_priority} AN:${client.application_name}`
  if (!isStandby(client)) return `W) ${who} W:${text(client.write_lsn)} ${tail}`
  const letter = client.sync_state.charAt(0).toUpperCase()
  return `${letter}) ${who} F:${text(client.flush_lsn)} R:${text(client.replay_lsn)} ${tail}`
}

function clientJson(client: Client, { lsn }: StreamingFound): Json {
  const positions = positionsOf(client).flatMap(([name, at]): [string, Json][] => {
    const key = `${name.toLowerCase()}_lsn`
    const diff = bytesBetween(lsn, at)
    return [
      [key, formatLsn(at)],
      [`${key}_diff`, prettySize(diff)],
      [`${key}_diff_bytes`, diff],
    ]
  })
  return {
    application_name: client.application_name,
    communication: client.client_addr === null ? 'Unix domain socket' : 'TCP/IP',
    current_state: client.state,
    current_sync_state: client.sync_state,
    ...Object.fromEntries(positions),
    host: client.client_hostname,
    ip_address: client.client_addr,
    name: nameOf(client),
    port: client.client_port,
    replication_slot: client.slot_name,
    started_at: `${client.started}:00`,
    sync_stage: stageOf(client, lsn),
    user_name: client.usename,
    wal_sender_pid: client.pid,
  }
}
