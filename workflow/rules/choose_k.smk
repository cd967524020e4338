# The papers chose k by the elbow method; a data set has its curves before any method is fitted.
rule choose_k:
    input:
        cube=f"{RESULTS}/{{dataset}}/cube.nc",
        template="workflow/report/table.html.j2",
        code=jobs.code("choose_k.py"),
    output:
        tables=multiext(f"{RESULTS}/tables/{{dataset}}.k", ".md", ".tex", ".html", ".csv"),
        figures=multiext(f"{RESULTS}/figures/{{dataset}}/choice-of-k", ".png", ".pdf"),
    log:
        f"{RESULTS}/logs/choose_k/{{dataset}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/choose_k/{{dataset}}.jsonl"
    conda:
        "../../environment.yml"
    params:
        settings=lambda wildcards: jobs.text(jobs.k_settings(PLAN, wildcards.dataset)),
        tables=subpath(output[0], parent=True),
        figures=subpath(output[4], parent=True),
    shell:
        "python -m regimebench choose-k --settings {params.settings:q} --cube {input.cube:q}"
        " --tables {params.tables:q} --figures {params.figures:q} > {log:q} 2>&1"
