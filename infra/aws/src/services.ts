import {
  aws_certificatemanager as acm,
  aws_ec2 as ec2,
  aws_ecr as ecr,
  aws_ecs as ecs,
  aws_efs as efs,
  aws_elasticloadbalancingv2 as elb,
  aws_iam as iam,
  aws_logs as logs,
  aws_s3 as s3,
  aws_secretsmanager as secrets,
  Duration,
  RemovalPolicy,
} from "aws-cdk-lib";
import { Construct } from "constructs";
import type { Database } from "./database.js";
import type { Network } from "./network.js";
import type { Stage } from "./stage.js";

/** What the tasks run: the image by its digest, and the certificate of the API. */
export interface Release {
  readonly digest: string;
  readonly certificate: string;
}

/** Copies secrets from the environment into files of the task: the image itself has no shell. */
const FILES_IMAGE = "public.ecr.aws/docker/library/busybox:1.37-musl";

/** Two services of one image, on Fargate, behind their load balancers. */
export class Services extends Construct {
  readonly cluster: ecs.Cluster;
  readonly proxy: ecs.FargateService;
  readonly controlPlane: ecs.FargateService;
  readonly proxyLogs: logs.LogGroup;
  readonly controlPlaneLogs: logs.LogGroup;
  readonly proxyBalancer: elb.NetworkLoadBalancer;
  readonly api: elb.ApplicationLoadBalancer;
  readonly proxyTargets: elb.NetworkTargetGroup;
  private readonly image: ecs.ContainerImage;
  private readonly keys: Record<string, secrets.Secret>;

  constructor(scope: Construct, id: string, private readonly stage: Stage, private readonly network: Network, private readonly database: Database, release: Release) {
    super(scope, id);
    const repository = ecr.Repository.fromRepositoryName(this, "Repository", "palisade");
    this.image = ecs.ContainerImage.fromEcrRepository(repository, release.digest);
    this.cluster = new ecs.Cluster(this, "Cluster", { vpc: network.vpc, containerInsightsV2: ecs.ContainerInsights.ENABLED });
    this.keys = {
      MASTER_KEY: this.secret("MasterKey", "64 hexadecimal digits, as `palisade keys master` makes them"),
      JWT_PUBLIC_KEY: this.secret("JwtPublicKey", "The public half of `palisade keys jwt` (PEM)"),
      DATABASE_URL: this.secret("DatabaseUrl", "Connection string of the control plane"),
      TLS_CERTIFICATE: this.secret("TlsCertificate", "Certificate chain of the proxy (PEM)"),
      TLS_KEY: this.secret("TlsKey", "Private key of the proxy's certificate (PEM)"),
    };
    this.proxyLogs = this.logGroup("ProxyLogs");
    this.controlPlaneLogs = this.logGroup("ControlPlaneLogs");
    const accessLogs = this.accessLogs();

    this.proxyBalancer = new elb.NetworkLoadBalancer(this, "ProxyBalancer", {
      vpc: network.vpc, internetFacing: false, crossZoneEnabled: true, deletionProtection: stage.keepsData,
      securityGroups: [network.proxyBalancer],
    });
    this.proxyBalancer.logAccessLogs(accessLogs, "proxy");
    this.api = new elb.ApplicationLoadBalancer(this, "Api", {
      vpc: network.vpc, internetFacing: false, dropInvalidHeaderFields: true, deletionProtection: stage.keepsData,
      securityGroup: network.apiBalancer,
    });
    this.api.logAccessLogs(accessLogs, "api");

    this.proxy = this.proxyService();
    this.controlPlane = this.controlPlaneService();
    this.proxyTargets = this.proxyBalancer.addListener("Clients", { port: 6432 }).addTargets("Proxies", {
      port: 6432,
      targets: [this.proxy],
      deregistrationDelay: Duration.seconds(120),
      healthCheck: { protocol: elb.Protocol.HTTP, port: "9464", path: "/readyz", interval: Duration.seconds(10), healthyThresholdCount: 2, unhealthyThresholdCount: 2 },
    });
    this.api.addListener("Https", {
      port: 443, open: false, sslPolicy: elb.SslPolicy.TLS13_RES,
      certificates: [acm.Certificate.fromCertificateArn(this, "Certificate", release.certificate)],
    }).addTargets("ControlPlane", {
      port: 8080, protocol: elb.ApplicationProtocol.HTTP, targets: [this.controlPlane],
      healthCheck: { path: "/readyz", interval: Duration.seconds(10), healthyThresholdCount: 2 },
    });
  }

  private secret(name: string, description: string): secrets.Secret {
    return new secrets.Secret(this, name, {
      description, encryptionKey: this.network.key,
      removalPolicy: this.stage.keepsData ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
    });
  }

  private logGroup(name: string): logs.LogGroup {
    return new logs.LogGroup(this, name, {
      retention: this.stage.logDays, encryptionKey: this.network.key,
      removalPolicy: this.stage.keepsData ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
    });
  }

  private accessLogs(): s3.Bucket {
    return new s3.Bucket(this, "AccessLogs", {
      // Load balancers can write to buckets with the keys of S3 only.
      encryption: s3.BucketEncryption.S3_MANAGED, enforceSSL: true, versioned: true,
      blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
      lifecycleRules: [{ expiration: Duration.days(this.stage.logDays), noncurrentVersionExpiration: Duration.days(7) }],
      removalPolicy: RemovalPolicy.RETAIN,
    });
  }

  /** A task with our container, whose key files come from secrets by way of a container that ends. */
  private task(name: string, memory: number, files: Record<string, string>): { task: ecs.FargateTaskDefinition; start: (options: Omit<ecs.ContainerDefinitionOptions, "image">) => ecs.ContainerDefinition } {
    const task = new ecs.FargateTaskDefinition(this, `${name}Task`, { cpu: memory / 2, memoryLimitMiB: memory, volumes: [{ name: "keys" }, { name: "scratch" }] });
    const logGroup = name === "Proxy" ? this.proxyLogs : this.controlPlaneLogs;
    const logging = ecs.LogDrivers.awsLogs({ logGroup, streamPrefix: name.toLowerCase() });
    const script = Object.entries(files).map(([variable, file]) => `printf '%s\\n' "$${variable}" > /etc/palisade/${file}`).join(" && ");
    const keys = task.addContainer("keys", {
      image: ecs.ContainerImage.fromRegistry(FILES_IMAGE),
      essential: false, readonlyRootFilesystem: true, logging,
      command: ["sh", "-c", `umask 077 && ${script} && chown -R 65532:65532 /etc/palisade /scratch`],
      secrets: Object.fromEntries(Object.keys(files).map((variable) => [variable, ecs.Secret.fromSecretsManager(this.key(variable))])),
    });
    keys.addMountPoints({ containerPath: "/etc/palisade", sourceVolume: "keys", readOnly: false }, { containerPath: "/scratch", sourceVolume: "scratch", readOnly: false });
    const start = (options: Omit<ecs.ContainerDefinitionOptions, "image">) => {
      const container = task.addContainer("palisade", { image: this.image, user: "65532:65532", readonlyRootFilesystem: true, logging, ...options });
      container.addContainerDependencies({ container: keys, condition: ecs.ContainerDependencyCondition.SUCCESS });
      container.addMountPoints({ containerPath: "/etc/palisade", sourceVolume: "keys", readOnly: true }, { containerPath: "/tmp", sourceVolume: "scratch", readOnly: false });
      return container;
    };
    return { task, start };
  }

  private key(name: string): secrets.Secret {
    const secret = this.keys[name];
    if (!secret) throw new Error(`there is no secret ${name}`);
    return secret;
  }

  private proxyService(): ecs.FargateService {
    const { task, start } = this.task("Proxy", 2048, { MASTER_KEY: "master.key", TLS_CERTIFICATE: "tls.pem", TLS_KEY: "tls.key" });
    const container = start({
      command: ["proxy"],
      stopTimeout: Duration.seconds(120),
      portMappings: [{ containerPort: 6432 }, { containerPort: 9464 }],
      healthCheck: { command: ["CMD", "/usr/local/bin/palisade", "healthcheck", "--url", "http://127.0.0.1:9464/readyz"], interval: Duration.seconds(10), timeout: Duration.seconds(6), startPeriod: Duration.seconds(60) },
      environment: {
        PALISADE__PROXY__LISTEN: "0.0.0.0:6432",
        PALISADE__PROXY__METRICS_LISTEN: "0.0.0.0:9464",
        PALISADE__PROXY__TLS: "require",
        PALISADE__PROXY__TLS_CERT_FILE: "/etc/palisade/tls.pem",
        PALISADE__PROXY__TLS_KEY_FILE: "/etc/palisade/tls.key",
        PALISADE__PROXY__SERVER: this.database.instance.instanceEndpoint.socketAddress,
        PALISADE__PROXY__MASTER_KEY_FILE: "/etc/palisade/master.key",
        // Each task its own: two proxies must not write one file.
        PALISADE__PROXY__SNAPSHOT_FILE: "/tmp/tenants.json",
        PALISADE__PROXY__SPOOL_DIR: "/var/lib/palisade/spool",
        PALISADE__PROXY__SHUTDOWN_TIMEOUT_MS: "100000",
      },
    });
    const { files, access } = this.spool();
    task.addVolume({ name: "state", efsVolumeConfiguration: { fileSystemId: files.fileSystemId, transitEncryption: "ENABLED", authorizationConfig: { accessPointId: access.accessPointId, iam: "ENABLED" } } });
    container.addMountPoints({ containerPath: "/var/lib/palisade", sourceVolume: "state", readOnly: false });
    files.grantReadWrite(task.taskRole);
    const service = this.service("Proxy", task, this.network.proxy, this.stage.proxies.min);
    const scaling = service.autoScaleTaskCount({ minCapacity: this.stage.proxies.min, maxCapacity: this.stage.proxies.max });
    scaling.scaleOnCpuUtilization("Cpu", { targetUtilizationPercent: 60, scaleInCooldown: Duration.minutes(10), scaleOutCooldown: Duration.minutes(1) });
    return service;
  }

  /** The audit spool outlives its task: what was not shipped yet is shipped by whoever finds it. */
  private spool(): { files: efs.FileSystem; access: efs.AccessPoint } {
    const files = new efs.FileSystem(this, "State", {
      vpc: this.network.vpc, encrypted: true, kmsKey: this.network.key, enableAutomaticBackups: true,
      vpcSubnets: { subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS },
      throughputMode: efs.ThroughputMode.ELASTIC,
      removalPolicy: this.stage.keepsData ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
    });
    files.connections.allowDefaultPortFrom(this.network.proxy);
    const access = files.addAccessPoint("Access", { path: "/palisade", posixUser: { uid: "65532", gid: "65532" }, createAcl: { ownerUid: "65532", ownerGid: "65532", permissions: "0700" } });
    return { files, access };
  }

  private controlPlaneService(): ecs.FargateService {
    const { task, start } = this.task("ControlPlane", 1024, { MASTER_KEY: "master.key", JWT_PUBLIC_KEY: "jwt.pub.pem" });
    start({
      command: ["control-plane"],
      portMappings: [{ containerPort: 8080 }],
      healthCheck: { command: ["CMD", "/usr/local/bin/palisade", "healthcheck"], interval: Duration.seconds(10), timeout: Duration.seconds(6), startPeriod: Duration.seconds(120) },
      secrets: { PALISADE__CONTROL_PLANE__DATABASE_URL: ecs.Secret.fromSecretsManager(this.key("DATABASE_URL")) },
      environment: {
        PALISADE__CONTROL_PLANE__LISTEN: "0.0.0.0:8080",
        PALISADE__CONTROL_PLANE__MASTER_KEY_FILE: "/etc/palisade/master.key",
        PALISADE__CONTROL_PLANE__AUTH__PUBLIC_KEY_FILE: "/etc/palisade/jwt.pub.pem",
        PALISADE__CONTROL_PLANE__PROXY_ADDRESS: `${this.proxyBalancer.loadBalancerDnsName}:6432`,
      },
    });
    return this.service("ControlPlane", task, this.network.controlPlane, 2);
  }

  private service(name: string, taskDefinition: ecs.FargateTaskDefinition, group: ec2.SecurityGroup, desiredCount: number): ecs.FargateService {
    taskDefinition.taskRole.addToPrincipalPolicy(new iam.PolicyStatement({ effect: iam.Effect.DENY, actions: ["secretsmanager:GetSecretValue"], resources: ["*"] }));
    return new ecs.FargateService(this, name, {
      cluster: this.cluster, taskDefinition, desiredCount, securityGroups: [group], assignPublicIp: false,
      vpcSubnets: { subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS },
      minHealthyPercent: 100, maxHealthyPercent: 200, circuitBreaker: { rollback: true },
      healthCheckGracePeriod: Duration.seconds(120),
    });
  }
}
