/**
 * `backstay config check`: whether the cluster file can be used.
 */
import { defineCommand } from '../define-command.ts'

export default defineCommand({
  summary: 'Read the cluster file and say what it describes',
  description:
    'Reads the cluster file and prints a summary, or every problem as file:line:col. Connects to nothing.',
  needs: { config: true },
  examples: [
    'backstay config check',
    'backstay config check -c /etc/backstay/backstay.yaml --json',
  ],
  load: () => import('../actions/config-check.ts'),
})
