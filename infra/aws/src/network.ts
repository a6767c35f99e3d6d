import { aws_ec2 as ec2, aws_iam as iam, aws_kms as kms, aws_logs as logs, RemovalPolicy, Stack } from "aws-cdk-lib";
import { Construct } from "constructs";
import type { Stage } from "./stage.js";

/** Network, key and who may speak to whom. */
export class Network extends Construct {
  readonly vpc: ec2.Vpc;
  readonly key: kms.Key;
  readonly database: ec2.SecurityGroup;
  readonly proxy: ec2.SecurityGroup;
  readonly controlPlane: ec2.SecurityGroup;
  readonly proxyBalancer: ec2.SecurityGroup;
  readonly apiBalancer: ec2.SecurityGroup;

  constructor(scope: Construct, id: string, stage: Stage) {
    super(scope, id);
    this.key = new kms.Key(this, "Key", {
      enableKeyRotation: true,
      removalPolicy: stage.keepsData ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
    });
    this.key.grantEncryptDecrypt(new iam.ServicePrincipal(`logs.${Stack.of(this).region}.amazonaws.com`));
    this.key.grantEncryptDecrypt(new iam.ServicePrincipal("cloudwatch.amazonaws.com")); // alarms to the encrypted topic
    this.vpc = new ec2.Vpc(this, "Vpc", {
      maxAzs: 2,
      natGateways: stage.natGateways,
      subnetConfiguration: [
        { name: "public", subnetType: ec2.SubnetType.PUBLIC, cidrMask: 24, mapPublicIpOnLaunch: false },
        { name: "services", subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS, cidrMask: 22 },
        { name: "database", subnetType: ec2.SubnetType.PRIVATE_ISOLATED, cidrMask: 24 },
      ],
    });
    const flows = new logs.LogGroup(this, "Flows", { retention: stage.logDays, encryptionKey: this.key, removalPolicy: RemovalPolicy.DESTROY });
    this.vpc.addFlowLog("Flow", { destination: ec2.FlowLogDestination.toCloudWatchLogs(flows) });

    const group = (name: string, allowAllOutbound: boolean) =>
      new ec2.SecurityGroup(this, name, { vpc: this.vpc, description: `Palisade ${name}`, allowAllOutbound });
    this.database = group("Database", false);
    this.proxy = group("Proxy", true);
    this.controlPlane = group("ControlPlane", true);
    this.proxyBalancer = group("ProxyBalancer", false);
    this.apiBalancer = group("ApiBalancer", false);

    for (const [from, to, port, what] of [
      [this.proxyBalancer, this.proxy, 6432, "clients"],
      [this.proxyBalancer, this.proxy, 9464, "health of the proxy"],
      [this.apiBalancer, this.controlPlane, 8080, "API and UI"],
      [this.proxy, this.database, 5432, "tenants"],
      [this.controlPlane, this.database, 5432, "control plane"],
    ] as const) {
      to.addIngressRule(from, ec2.Port.tcp(port), what);
      if (from !== this.proxy && from !== this.controlPlane) from.addEgressRule(to, ec2.Port.tcp(port), what);
    }
    // Inside only: other networks are joined by peering or PrivateLink.
    const inside = ec2.Peer.ipv4(this.vpc.vpcCidrBlock);
    this.proxyBalancer.addIngressRule(inside, ec2.Port.tcp(6432), "clients");
    this.apiBalancer.addIngressRule(inside, ec2.Port.tcp(443), "API and UI");
  }
}
