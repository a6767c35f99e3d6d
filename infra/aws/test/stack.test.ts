import { App, Aspects } from "aws-cdk-lib";
import { Annotations, Match, Template } from "aws-cdk-lib/assertions";
import { AwsSolutionsChecks } from "cdk-nag";
import { describe, expect, it } from "vitest";
import { accept } from "../src/accepted.js";
import { RegistryStack } from "../src/registry.js";
import { PalisadeStack } from "../src/stack.js";
import { certificate, digest, region, stage } from "../src/stage.js";

const RELEASE = { digest: `sha256:${"a".repeat(64)}`, certificate: "arn:aws:acm:eu-central-1:123456789012:certificate/0" };

function synth(name: string) {
  const stack = new PalisadeStack(new App(), `palisade-${name}`, stage(name), RELEASE, { env: { region: "eu-central-1" } });
  accept(stack, stage(name));
  Aspects.of(stack).add(new AwsSolutionsChecks());
  return { stack, template: Template.fromStack(stack) };
}

describe.each(["dev", "staging", "production"])("the stack of %s", (name) => {
  const { stack, template } = synth(name);

  it("has no finding of cdk-nag that nobody accepted", () => {
    const errors = Annotations.fromStack(stack).findError("*", Match.stringLikeRegexp("AwsSolutions-.*"));
    expect(errors.map((e) => `${e.id}: ${String(e.entry.data)}`)).toEqual([]);
  });

  it("has an encrypted database in two zones that nobody outside reaches", () => {
    template.hasResourceProperties("AWS::RDS::DBInstance", { MultiAZ: true, StorageEncrypted: true, PubliclyAccessible: false, DeletionProtection: name !== "dev" });
    template.hasResourceProperties("AWS::RDS::DBParameterGroup", { Family: "postgres15", Parameters: Match.objectLike({ "rds.force_ssl": "1", log_statement: "none" }) });
  });

  it("keeps backups and the data itself", () => {
    const days = { dev: 7, staging: 14, production: 35 }[name];
    template.hasResource("AWS::RDS::DBInstance", { Properties: { BackupRetentionPeriod: days }, DeletionPolicy: name === "dev" ? "Delete" : "Snapshot" });
  });

  it("runs the image by its digest, without root and with a read-only file system", () => {
    const tasks = Object.values(template.findResources("AWS::ECS::TaskDefinition"));
    expect(tasks).toHaveLength(2);
    for (const task of tasks) {
      const ours = task.Properties.ContainerDefinitions.find((c: { Name: string }) => c.Name === "palisade");
      expect(JSON.stringify(ours.Image)).toContain(`@${RELEASE.digest}`);
      expect(ours).toMatchObject({ User: "65532:65532", ReadonlyRootFilesystem: true });
    }
  });

  it("rolls a deployment back that does not become healthy", () => {
    template.allResourcesProperties("AWS::ECS::Service", { DeploymentConfiguration: Match.objectLike({ DeploymentCircuitBreaker: { Enable: true, Rollback: true } }) });
  });

  it("lets nobody in from the internet", () => {
    template.allResourcesProperties("AWS::ElasticLoadBalancingV2::LoadBalancer", { Scheme: "internal" });
    expect(JSON.stringify(template.findResources("AWS::EC2::SecurityGroup", { Properties: { SecurityGroupIngress: Match.arrayWith([Match.objectLike({ CidrIp: "0.0.0.0/0" })]) } }))).toBe("{}");
  });

  it("has no secret in an environment variable", () => {
    for (const task of Object.values(template.findResources("AWS::ECS::TaskDefinition"))) {
      for (const container of task.Properties.ContainerDefinitions) {
        for (const { Name } of container.Environment ?? []) expect(Name).not.toMatch(/URL$|PASSWORD|SECRET|MASTER_KEY$/);
      }
    }
  });

  it("sends every alarm to the topic, and ends every log", () => {
    template.allResourcesProperties("AWS::CloudWatch::Alarm", { AlarmActions: Match.anyValue() });
    template.allResourcesProperties("AWS::Logs::LogGroup", { RetentionInDays: Match.anyValue(), KmsKeyId: Match.anyValue() });
  });
});

it("makes more proxies when they have much to do", () => {
  synth("production").template.hasResourceProperties("AWS::ApplicationAutoScaling::ScalableTarget", { MinCapacity: 2, MaxCapacity: 10 });
});

it("gives the pipeline the registry, and the pipeline of this repository only", () => {
  const template = Template.fromStack(new RegistryStack(new App(), "r", "acme/palisade"));
  template.hasResourceProperties("AWS::ECR::Repository", { ImageTagMutability: "IMMUTABLE", ImageScanningConfiguration: { ScanOnPush: true } });
  template.hasResourceProperties("AWS::IAM::Role", {
    AssumeRolePolicyDocument: Match.objectLike({ Statement: [Match.objectLike({ Condition: { StringEquals: Match.objectLike({ "token.actions.githubusercontent.com:sub": "repo:acme/palisade:environment:registry" }) } })] }),
  });
});

it.each([
  [stage, ["dev", "staging", "production"], [undefined, "", "prod", "toString"]],
  [digest, [RELEASE.digest], [undefined, "latest", "sha256:1", `${RELEASE.digest} `]],
  [certificate, ["arn:aws:acm:eu-central-1:123456789012:certificate/0-1"], [undefined, "", "arn:aws:iam::1:role/x"]],
  [region, ["eu-central-1", "us-gov-west-1"], [undefined, "", "here"]],
])("%o takes only what is right", (parse, right, wrong) => {
  for (const value of right) expect(() => parse(value)).not.toThrow();
  for (const value of wrong) expect(() => parse(value)).toThrow();
});
