import { aws_ecr as ecr, aws_iam as iam, CfnOutput, Duration, RemovalPolicy, Stack } from "aws-cdk-lib";
import type { Construct } from "constructs";

/** The registry of the account, shared by its environments, and the role by which the pipeline pushes. */
export class RegistryStack extends Stack {
  constructor(scope: Construct, id: string, repository: string) {
    super(scope, id, { terminationProtection: true });
    if (!/^[\w.-]+\/[\w.-]+$/.test(repository)) throw new Error("-c repository=owner/name must name the repository");
    const images = new ecr.Repository(this, "Images", {
      repositoryName: "palisade", imageScanOnPush: true, imageTagMutability: ecr.TagMutability.IMMUTABLE,
      encryption: ecr.RepositoryEncryption.KMS, removalPolicy: RemovalPolicy.RETAIN,
      lifecycleRules: [{ maxImageCount: 200 }],
    });
    const github = new iam.OidcProviderNative(this, "GitHub", { url: "https://token.actions.githubusercontent.com", clientIds: ["sts.amazonaws.com"] });
    const role = new iam.Role(this, "ImageRole", {
      maxSessionDuration: Duration.hours(2),
      assumedBy: new iam.OpenIdConnectPrincipal(github, {
        StringEquals: {
          "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
          "token.actions.githubusercontent.com:sub": `repo:${repository}:environment:registry`,
        },
      }),
    });
    images.grantPullPush(role);
    new CfnOutput(this, "ImageRoleArn", { value: role.roleArn });
    new CfnOutput(this, "RepositoryUri", { value: images.repositoryUri });
  }
}
