rule report:
    input:
        cubes=expand(f"{RESULTS}/{{dataset}}/cube.nc", dataset=jobs.drawn(PLAN, driver.rebuilds())),
        runs=expand(f"{RESULTS}/{{dataset}}/runs.csv", dataset=PLAN.datasets),
        scores=expand(f"{RESULTS}/{{dataset}}/scores.csv", dataset=PLAN.datasets),
        agreement=expand(f"{RESULTS}/{{dataset}}/agreement.csv", dataset=PLAN.datasets),
        shifted=expand(f"{RESULTS}/{{dataset}}/shifted.csv", dataset=PLAN.datasets),
        findings=expand(f"{RESULTS}/{{dataset}}/verify.json", dataset=jobs.published(PLAN)),
        tables=[table for name in PLAN.datasets for table in jobs.table_files(PLAN, name)],
        papers=[f"{stem}.html" for stem in jobs.paper_table_stems(PLAN)],
        audit=f"{RESULTS}/tables/audit.html",
        k=expand(f"{RESULTS}/tables/{{dataset}}.k.html", dataset=jobs.drawn(PLAN, driver.rebuilds())),
        code=jobs.code("report.py"),
        templates=collect("workflow/report/{file}", file=jobs.page_parts()),
    output:
        report(f"{RESULTS}/report/index.html", caption="../report/page.rst", category="Page"),
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


rule figures:
    input:
        cube=f"{RESULTS}/{{dataset}}/cube.nc",
        runs=f"{RESULTS}/{{dataset}}/runs.csv",
        scores=f"{RESULTS}/{{dataset}}/scores.csv",
        agreement=f"{RESULTS}/{{dataset}}/agreement.csv",
        code=jobs.code("reporting/figures.py"),
    output:
        report(
            directory(f"{RESULTS}/figures/{{dataset}}/runs"),
            patterns=["{figure}.png"],
            caption="../report/figure.rst",
            category="Figures",
            subcategory="{dataset}",
            labels={"data set": "{dataset}", "figure": "{figure}"},
        ),
    log:
        f"{RESULTS}/logs/figures/{{dataset}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/figures/{{dataset}}.jsonl"
    priority: -1  # tables and page come first
    conda:
        "../../environment.yml"
    params:
        settings=lambda wildcards: jobs.text(jobs.figure_settings(PLAN, wildcards.dataset)),
    shell:
        "python -m regimebench figures --settings {params.settings:q} --folder {output:q} > {log:q} 2>&1"
