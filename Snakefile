# RegimeBench: download -> preprocess -> fit -> evaluate -> aggregate -> report.
# Every stage is one rule file here, one module in regimebench/ and one page in docs/.
from snakemake.utils import min_version

from regimebench import driver, jobs

min_version("9.19")

# A configuration file given by the user replaces the papers' protocol; Snakemake would merge the two.
if not workflow.overwrite_configfiles:

    configfile: "config/config.yaml"


driver.prepare_environment()
PLAN = driver.make_plan(config, workflow.configfiles, workflow.resource_settings.default_resources)
RESULTS = PLAN.results.as_posix()
RUN = driver.Run(workflow, PLAN)


wildcard_constraints:
    dataset="[a-z][a-z0-9_]*",
    variant="[a-z][a-z0-9_]*",
    number=r"\d+",


rule all:
    default_target: True
    input:
        f"{RESULTS}/report/index.html",
        f"{RESULTS}/tables/cost.md",
        [table for name in PLAN.datasets for table in jobs.table_files(PLAN, name)],
        expand(f"{RESULTS}/figures/{{dataset}}/runs", dataset=jobs.drawn(PLAN, driver.rebuilds())),
        [f"{stem}.html" for stem in jobs.paper_table_stems(PLAN)],
        expand(f"{RESULTS}/tables/{{dataset}}.k.md", dataset=jobs.drawn(PLAN, driver.rebuilds())),
        f"{RESULTS}/tables/audit.html",
        jobs.across_files(PLAN),


# What needs the network, or takes seconds, runs beside the driver and not on a cluster's nodes.
localrules:
    all,
    data,
    download,
    preprocess,
    preprocess_planted,
    verify,
    aggregate,
    aggregate_planted,
    report,


# Tables and report can be made anew from records alone: then no rule fetches, prepares or fits anything.
if not driver.rebuilds():

    include: "workflow/rules/download.smk"
    include: "workflow/rules/preprocess.smk"
    include: "workflow/rules/fit.smk"


include: "workflow/rules/verify.smk"
include: "workflow/rules/choose_k.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/aggregate.smk"
include: "workflow/rules/report.smk"


onstart:
    RUN.start()


onsuccess:
    RUN.finish()


onerror:
    RUN.fail()
