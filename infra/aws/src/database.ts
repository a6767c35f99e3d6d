import { aws_ec2 as ec2, aws_logs as logs, aws_rds as rds, Duration, RemovalPolicy } from "aws-cdk-lib";
import { Construct } from "constructs";
import type { Network } from "./network.js";
import type { Stage } from "./stage.js";

/** RDS PostgreSQL in two zones, encrypted, TLS demanded. */
export class Database extends Construct {
  readonly instance: rds.DatabaseInstance;

  constructor(scope: Construct, id: string, stage: Stage, network: Network) {
    super(scope, id);
    const engine = rds.DatabaseInstanceEngine.postgres({ version: rds.PostgresEngineVersion.of("15.18", "15") });
    const name = `palisade-${stage.name}`;
    // Made before the instance: what RDS makes itself is kept for ever and not encrypted with our key.
    const logGroups = ["postgresql", "upgrade"].map((log) => new logs.LogGroup(this, `Log-${log}`, {
      logGroupName: `/aws/rds/instance/${name}/${log}`, retention: stage.logDays, encryptionKey: network.key,
      removalPolicy: stage.keepsData ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
    }));
    this.instance = new rds.DatabaseInstance(this, "Instance", {
      engine,
      instanceIdentifier: name,
      instanceType: new ec2.InstanceType(stage.databaseClass),
      vpc: network.vpc,
      vpcSubnets: { subnetType: ec2.SubnetType.PRIVATE_ISOLATED },
      securityGroups: [network.database],
      databaseName: "palisade",
      credentials: rds.Credentials.fromGeneratedSecret("palisade_admin", { encryptionKey: network.key, excludeCharacters: "%+~`#$&*()|[]{}:;<>?!'/@\"\\ ,=^" }),
      multiAz: true,
      storageType: rds.StorageType.GP3,
      allocatedStorage: 100,
      maxAllocatedStorage: 1000,
      storageEncrypted: true,
      storageEncryptionKey: network.key,
      parameterGroup: new rds.ParameterGroup(this, "Parameters", {
        engine,
        parameters: {
          "rds.force_ssl": "1",
          password_encryption: "scram-sha-256",
          "rds.accepted_password_auth_method": "scram",
          log_min_duration_statement: "-1", // statements hold tenants' literals: they are not logged
          log_statement: "none",
          log_min_error_statement: "panic",
          log_parameter_max_length_on_error: "0",
          idle_in_transaction_session_timeout: "600000",
        },
      }),
      backupRetention: Duration.days(stage.backupDays),
      copyTagsToSnapshot: true,
      deletionProtection: stage.keepsData,
      removalPolicy: stage.keepsData ? RemovalPolicy.SNAPSHOT : RemovalPolicy.DESTROY,
      deleteAutomatedBackups: !stage.keepsData,
      autoMinorVersionUpgrade: true,
      caCertificate: rds.CaCertificate.RDS_CA_RSA2048_G1,
      cloudwatchLogsExports: ["postgresql", "upgrade"],
      monitoringInterval: Duration.seconds(60),
      enablePerformanceInsights: true,
      performanceInsightEncryptionKey: network.key,
    });
    this.instance.node.addDependency(...logGroups);
  }
}
