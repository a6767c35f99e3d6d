import { aws_cloudwatch as cw, aws_cloudwatch_actions as actions, aws_elasticloadbalancingv2 as elb, aws_logs as logs, aws_sns as sns, Duration } from "aws-cdk-lib";
import { Construct } from "constructs";
import type { Database } from "./database.js";
import type { Network } from "./network.js";
import type { Services } from "./services.js";

/** Alarms to a topic, and a dashboard. */
export class Watch extends Construct {
  private readonly topic: sns.Topic;
  private readonly alarms: cw.Alarm[] = [];

  constructor(scope: Construct, id: string, network: Network, private readonly database: Database, private readonly services: Services) {
    super(scope, id);
    this.topic = new sns.Topic(this, "Alarms", { masterKey: network.key, enforceSSL: true });
    this.databaseAlarms();
    this.serviceAlarms();
    this.logAlarm("ProxyErrors", services.proxyLogs, "Errors in the proxy's log");
    this.logAlarm("ControlPlaneErrors", services.controlPlaneLogs, "Errors in the control plane's log, failed provisioning among them");
    new cw.Dashboard(this, "Dashboard", {
      widgets: [
        [new cw.AlarmStatusWidget({ title: "Alarms", alarms: this.alarms, width: 24 })],
        [
          this.graph("Database CPU, %", database.instance.metricCPUUtilization()),
          this.graph("Database connections", database.instance.metricDatabaseConnections()),
          this.graph("Database free storage, bytes", database.instance.metricFreeStorageSpace()),
        ],
        [
          this.graph("Proxy CPU, %", services.proxy.metricCpuUtilization()),
          this.graph("Proxy connections", services.proxyBalancer.metrics.activeFlowCount()),
          this.graph("API 5xx", services.api.metrics.httpCodeTarget(elb.HttpCodeTarget.TARGET_5XX_COUNT)),
        ],
      ],
    });
  }

  private graph(title: string, metric: cw.IMetric): cw.GraphWidget {
    return new cw.GraphWidget({ title, left: [metric], width: 8 });
  }

  private alarm(name: string, metric: cw.Metric, description: string, threshold: number, below = false, missing = cw.TreatMissingData.BREACHING): void {
    const alarm = metric.with({ period: Duration.minutes(1) }).createAlarm(this, name, {
      alarmDescription: description, threshold, evaluationPeriods: 5, datapointsToAlarm: 3, treatMissingData: missing,
      comparisonOperator: below ? cw.ComparisonOperator.LESS_THAN_THRESHOLD : cw.ComparisonOperator.GREATER_THAN_THRESHOLD,
    });
    alarm.addAlarmAction(new actions.SnsAction(this.topic));
    alarm.addOkAction(new actions.SnsAction(this.topic));
    this.alarms.push(alarm);
  }

  private databaseAlarms(): void {
    const { instance } = this.database;
    this.alarm("DatabaseCpu", instance.metricCPUUtilization(), "The database works at more than 85 %", 85);
    this.alarm("DatabaseStorage", instance.metricFreeStorageSpace(), "Less than 20 GiB are free", 20 * 1024 ** 3, true);
    this.alarm("DatabaseMemory", instance.metricFreeableMemory(), "Less than 256 MiB of memory are free", 256 * 1024 ** 2, true);
    this.alarm("DatabaseConnections", instance.metricDatabaseConnections(), "More connections than the proxies' common budget leaves", 400);
  }

  private serviceAlarms(): void {
    const { proxyTargets, proxy, controlPlane, api } = this.services;
    this.alarm("ProxiesDown", proxyTargets.metrics.unHealthyHostCount(), "A proxy is not ready", 0);
    this.alarm("ProxyCpu", proxy.metricCpuUtilization(), "Proxies work at more than 85 %", 85);
    this.alarm("ProxyMemory", proxy.metricMemoryUtilization(), "Proxies use more than 85 % of their memory", 85);
    this.alarm("ControlPlaneCpu", controlPlane.metricCpuUtilization(), "The control plane works at more than 85 %", 85);
    this.alarm("ApiErrors", api.metrics.httpCodeTarget(elb.HttpCodeTarget.TARGET_5XX_COUNT), "The API fails", 5, false, cw.TreatMissingData.NOT_BREACHING);
  }

  private logAlarm(name: string, logGroup: logs.LogGroup, description: string): void {
    const filter = logGroup.addMetricFilter(name, {
      filterPattern: logs.FilterPattern.stringValue("$.level", "=", "ERROR"),
      metricNamespace: "Palisade", metricName: name, metricValue: "1", defaultValue: 0,
    });
    this.alarm(`${name}Alarm`, filter.metric({ statistic: "sum" }), description, 0, false, cw.TreatMissingData.NOT_BREACHING);
  }
}
