/**
 * Random work on a server that changes files in every way there is: rows, indexes of all kinds, toast, vacuum, truncation, new files,
 * tablespaces, databases, unlogged relations, sequences, prepared transactions, subtransactions that roll back.
 */
import { chownSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { TestServer } from '../../harness/postgres.ts'
import { isRoot, unprivilegedUser } from '../../harness/unprivileged-user.ts'

/** Numbers from a seed: the same work each time. */
export class Dice {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** From 0 up to, not including, `sides`. */
  roll(sides: number): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((this.#state / 2 ** 32) * sides)
  }

  pick<T>(things: readonly T[]): T {
    return things[this.roll(things.length)] as T
  }
}

const TABLES = 4
const SPACES = ['pg_default', 'other']

/** Tables, indexes and a tablespace to work on. `folder`: where the tablespace lies. */
export async function prepareWork(pg: TestServer, folder: string): Promise<void> {
  const place = join(folder, 'other')
  mkdirSync(place)
  if (isRoot) chownSync(place, unprivilegedUser.uid, unprivilegedUser.gid)
  await pg.query(`create tablespace other location '${place}'`)
  await pg.query('create sequence numbers')
  for (let number = 0; number < TABLES; number += 1) await makeTable(pg, `t${number}`)
  await pg.query('create unlogged table scratch(id int, text text)')
  await pg.query('create index on scratch(id)')
}

async function makeTable(pg: TestServer, name: string): Promise<void> {
  await pg.query(`
    create table ${name}(id serial, number int, text text, words text[], place point, long text) with (fillfactor = 80);
    alter table ${name} alter long set storage external;
    alter table ${name} add primary key (id);
    create index ${name}_hash on ${name} using hash(number);
    create index ${name}_gin on ${name} using gin(words);
    create index ${name}_gist on ${name} using gist(place);
    create index ${name}_spgist on ${name} using spgist(text);
    create index ${name}_brin on ${name} using brin(number) with (pages_per_range = 4);
    insert into ${name}(number, text, words, place, long) ${rowsOf(12_000, 1)}`)
}

function rowsOf(count: number, salt: number): string {
  return `select i * ${salt}, md5((i * ${salt})::text), array[(i % 97)::text, md5(i::text)], point(i % 1009, i * ${salt} % 997),
    case when i % 50 = 0 then repeat(md5((i + ${salt})::text), 200) end from generate_series(1, ${count}) i`
}

/** One piece of work. Statements are sent one by one. */
type Work = (dice: Dice, pg: TestServer) => readonly string[]

const table = (dice: Dice): string => `t${dice.roll(TABLES)}`
const name = (dice: Dice): string => `n${dice.roll(1e9)}`

const WORK: Readonly<Record<string, Work>> = {
  insert: (dice) => {
    const rows = rowsOf(20 + dice.roll(3000), 1 + dice.roll(1e5))
    return [`insert into ${table(dice)}(number, text, words, place, long) ${rows}`]
  },
  update: (dice) => [
    `update ${table(dice)} set number = number + 1, text = md5(text) where id % ${50 + dice.roll(3000)} = 0`,
  ],
  'update in place': (dice) => [
    `update ${table(dice)} set long = repeat('x', 3000) where id % ${50 + dice.roll(900)} = 0`,
  ],
  delete: (dice) => [`delete from ${table(dice)} where id % ${20 + dice.roll(900)} = 0`],
  'delete the end': (dice) => {
    const of = table(dice)
    return [
      `delete from ${of} where ctid >= (select ('(' || pg_relation_size('${of}') / 8192 / 2 || ',0)')::tid)`,
      `vacuum ${of}`,
    ]
  },
  read: (dice) => [`select count(*), max(text) from ${table(dice)}`],
  vacuum: (dice) => [`vacuum ${dice.pick(['', '(freeze)', '(analyze)'])} ${table(dice)}`],
  'vacuum full': (dice) => [`vacuum full ${table(dice)}`],
  truncate: (dice) => [`truncate ${table(dice)}`],
  'truncate and roll back': (dice) => {
    const of = table(dice)
    return [`begin; truncate ${of}; insert into ${of}(number) values (1); rollback`]
  },
  'new file and truncate in one': (dice) => {
    const made = name(dice)
    return [
      `begin; create table ${made} as ${rowsOf(200, 3).replace('select', 'select i as id,')}; truncate ${made}; commit`,
    ]
  },
  'move to tablespace': (dice) => [
    `alter table ${table(dice)} set tablespace ${dice.pick(SPACES)}`,
  ],
  'move index': (dice) => [`alter index ${table(dice)}_gin set tablespace ${dice.pick(SPACES)}`],
  reindex: (dice) => [`reindex table ${table(dice)}`],
  rewrite: (dice) => [
    `alter table ${table(dice)} alter number type ${dice.pick(['int', 'bigint'])}`,
  ],
  cluster: (dice) => {
    const of = table(dice)
    return [`cluster ${of} using ${of}_pkey`]
  },
  sequence: (dice) => [`select nextval('numbers') from generate_series(1, ${1 + dice.roll(100)})`],
  'other sequence': (dice) => {
    const made = name(dice)
    return [`create sequence ${made}`, `select nextval('${made}')`, `drop sequence ${made}`]
  },
  'come and go': (dice) => {
    const made = name(dice)
    return [
      `create table ${made}(id int primary key, text text) tablespace ${dice.pick(SPACES)}`,
      `insert into ${made} select i, repeat('y', 100) from generate_series(1, ${dice.roll(3000)}) i`,
      `drop table ${made}`,
    ]
  },
  'come and stay': (dice) => {
    const made = name(dice)
    return [
      `create table ${made} as select i, md5(i::text) from generate_series(1, ${dice.roll(3000)}) i`,
    ]
  },
  'subtransaction rolled back': (dice) => {
    const [one, other] = [name(dice), name(dice)]
    return [
      `begin; create table ${one}(id int); savepoint a; create table ${other} as select i from generate_series(1, 500) i; rollback to a; insert into ${one} values (1); commit`,
    ]
  },
  prepared: (dice) => {
    const [made, of] = [name(dice), table(dice)]
    return [
      `begin; create table ${made} as select i from generate_series(1, 900) i; delete from ${of} where id % 71 = 0; prepare transaction '${made}'`,
      `${dice.pick(['commit', 'rollback'])} prepared '${made}'`,
    ]
  },
  'prepared drop': (dice) => {
    const made = name(dice)
    return [
      `create table ${made} as select i from generate_series(1, 900) i`,
      `begin; drop table ${made}; prepare transaction '${made}'`,
      `${dice.pick(['commit', 'rollback'])} prepared '${made}'`,
    ]
  },
  unlogged: (dice) => [
    `insert into scratch select i, 'z' from generate_series(1, ${dice.roll(2000)}) i`,
  ],
  'set logged': (dice) => {
    const made = name(dice)
    return [
      `create unlogged table ${made} as select i from generate_series(1, 2000) i`,
      `alter table ${made} set logged`,
      `insert into ${made} select 1`,
    ]
  },
  'set unlogged': (dice) => {
    const made = name(dice)
    return [
      `create table ${made} as select i from generate_series(1, 2000) i`,
      `alter table ${made} set unlogged`,
    ]
  },
  view: (dice) => {
    const made = name(dice)
    return [
      `create materialized view ${made} as select id, text from ${table(dice)}`,
      `refresh materialized view ${made}`,
    ]
  },
  'large object': () => [`select lo_from_bytea(0, decode(repeat('ab', 9000), 'hex'))`],
  database: (dice, pg) => {
    const made = name(dice)
    const how = pg.major >= 15 ? `strategy = ${dice.pick(['file_copy', 'wal_log'])}` : ''
    return [`create database ${made} ${how} tablespace ${dice.pick(SPACES)}`]
  },
  'database comes and goes': (dice, pg) => {
    const made = name(dice)
    const how = pg.major >= 15 ? `strategy = ${dice.pick(['file_copy', 'wal_log'])}` : ''
    return [`create database ${made} ${how}`, `drop database ${made}`]
  },
  'database moves': (dice) => {
    const made = name(dice)
    return [`create database ${made}`, `alter database ${made} set tablespace other`]
  },
  checkpoint: () => ['checkpoint'],
  switch: () => ['select pg_switch_wal()'],
  'full-page images of hint bits': (dice) => {
    const of = table(dice)
    return [
      `update ${of} set number = 7 where id % 61 = 0`,
      'checkpoint',
      `select count(*) from ${of}`,
    ]
  },
}

/** Databases cost a second each. */
const RARE = new Set(['database', 'database comes and goes', 'database moves'])

/** Does `count` pieces of work; returns their names. */
export async function work(pg: TestServer, dice: Dice, count: number): Promise<readonly string[]> {
  const done: string[] = []
  for (let piece = 0; piece < count; piece += 1) {
    const [title, make] = dice.pick(Object.entries(WORK))
    if (RARE.has(title) && dice.roll(4) > 0) continue
    for (const sql of make(dice, pg)) await pg.query(sql)
    done.push(title)
  }
  return done
}

/** Every kind of work once, in random order. */
export async function workOfAllKinds(pg: TestServer, dice: Dice): Promise<void> {
  const kinds = Object.entries(WORK)
  while (kinds.length > 0) {
    const [[, make]] = kinds.splice(dice.roll(kinds.length), 1) as [[string, Work]]
    for (const sql of make(dice, pg)) await pg.query(sql)
  }
}
