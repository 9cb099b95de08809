#!/usr/bin/env node
/**
 * Starts `barman-wal-archive`.
 */
import { start } from './start.js'

await start('barman/wal-archive', import.meta.url)
