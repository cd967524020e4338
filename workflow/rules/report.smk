rule report:
    input:
        cubes=jobs.cubes(PLAN, existing=driver.rebuilds()),
        runs=expand(f"{RESULTS}/{{dataset}}/runs.csv", dataset=PLAN.datasets),
        scores=expand(f"{RESULTS}/{{dataset}}/scores.csv", dataset=PLAN.datasets),
        findings=expand(f"{RESULTS}/{{dataset}}/verify.json", dataset=jobs.published(PLAN)),
        tables=[table for name in PLAN.datasets for table in jobs.table_files(PLAN, name)],
        code=jobs.code("report.py"),
        template="workflow/report/index.html.j2",
    output:
        f"{RESULTS}/report/index.html",
    log:
        f"{RESULTS}/logs/report.log",
    benchmark:
        f"{RESULTS}/benchmarks/report.jsonl"
    conda:
        "../../environment.yml"
    params:
        settings=jobs.text(jobs.report_settings(PLAN)),
    shell:
        "python -m regimebench report --settings {params.settings:q} --page {output:q} > {log:q} 2>&1"
