import type { Stack } from "aws-cdk-lib";
import { NagSuppressions } from "cdk-nag";
import type { Stage } from "./stage.js";

/** Findings of cdk-nag that we accept, each with its reason. */
export function accept(stack: Stack, stage?: Stage): void {
  NagSuppressions.addStackSuppressions(stack, [
    { id: "AwsSolutions-SMG4", reason: "Keys and certificates are turned by hand with the steps of the guide: both planes take the new one together" },
    { id: "AwsSolutions-RDS11", reason: "The port is no secret; the database is in isolated subnets" },
    { id: "AwsSolutions-ECS2", reason: "The environment holds addresses and paths only; secrets come from Secrets Manager" },
    { id: "AwsSolutions-IAM5", reason: "Wildcards are those of the CDK's own grants on single resources, ECR's login, and a Deny of every secret" },
    {
      id: "AwsSolutions-IAM4",
      reason: "Amazon's own policy for enhanced monitoring, which it keeps right",
      appliesTo: ["Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole"],
    },
    { id: "CdkNagValidationFailure", reason: "EC23 cannot read the address range of the network; a test looks at the groups instead" },
    { id: "AwsSolutions-S1", reason: "The bucket is itself the access log" },
  ]);
  if (stage && !stage.keepsData) {
    NagSuppressions.addStackSuppressions(stack, [{ id: "AwsSolutions-RDS10", reason: "This stage keeps no data that matters" }]);
  }
}
