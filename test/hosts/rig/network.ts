/**
 * A switch that leads nowhere else, in a network namespace of its own, and a port on it for each host. The switch's own address
 * is where the operator sits.
 */
import { execFileSync, spawnSync } from 'node:child_process'

const NET = '192.168.100'

/** Number of a host: the last part of its address. */
export type HostNumber = 10 | 11 | 12

/** `192.168.100.10` */
export function addressOf(host: HostNumber): string {
  return `${NET}.${host}`
}

/** The network of one set of hosts; others have the same addresses without meeting it. */
export class TestNetwork implements Disposable {
  readonly #name: string
  readonly #hosts: readonly HostNumber[]

  constructor(name: string, hosts: readonly HostNumber[]) {
    this.#name = name
    this.#hosts = hosts
    ip('netns', 'add', this.switchNamespace)
    this.#atSwitch('link', 'set', 'lo', 'up')
    this.#atSwitch('link', 'add', 'br0', 'type', 'bridge', 'forward_delay', '0', 'stp_state', '0')
    this.#atSwitch('addr', 'add', `${NET}.1/24`, 'dev', 'br0')
    this.#atSwitch('link', 'set', 'br0', 'up')
    for (const host of hosts) this.#addHost(host)
  }

  /** Name of the namespace in which the operator's commands run. */
  get switchNamespace(): string {
    return `${this.#name}-switch`
  }

  /** Name of a host's namespace. */
  namespaceOf(host: HostNumber): string {
    return `${this.#name}-${host}`
  }

  /** Pulls the host's cable, or puts it back. */
  setCable(host: HostNumber, state: 'up' | 'down'): void {
    this.#atSwitch('link', 'set', `port${host}`, state)
  }

  /** Bytes that came to or went from the operator; what passes between hosts is not counted. */
  get operatorBytes(): number {
    const words = ['-j', '-s', '-n', this.switchNamespace, 'link', 'show', 'br0']
    const answer = execFileSync('ip', words, { encoding: 'utf8' })
    const [{ stats64 }] = JSON.parse(answer) as [
      { readonly stats64: Readonly<Record<'rx' | 'tx', { readonly bytes: number }>> },
    ]
    return stats64.rx.bytes + stats64.tx.bytes
  }

  [Symbol.dispose](): void {
    const names = [...this.#hosts.map((host) => this.namespaceOf(host)), this.switchNamespace]
    for (const name of names) spawnSync('ip', ['netns', 'del', name])
  }

  #addHost(host: HostNumber): void {
    const namespace = this.namespaceOf(host)
    ip('netns', 'add', namespace)
    const peer = ['peer', 'name', 'eth0', 'netns', namespace]
    this.#atSwitch('link', 'add', `port${host}`, 'type', 'veth', ...peer)
    this.#atSwitch('link', 'set', `port${host}`, 'master', 'br0', 'up')
    ip('-n', namespace, 'link', 'set', 'lo', 'up')
    ip('-n', namespace, 'addr', 'add', `${addressOf(host)}/24`, 'dev', 'eth0')
    ip('-n', namespace, 'link', 'set', 'eth0', 'up')
  }

  #atSwitch(...words: readonly string[]): void {
    ip('-n', this.switchNamespace, ...words)
  }
}

function ip(...words: readonly string[]): void {
  execFileSync('ip', words, { stdio: ['ignore', 'ignore', 'pipe'] })
}
