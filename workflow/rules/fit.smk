# One rule per method, so that --set-resources, environments and device slots can address each of them.
for method_id in PLAN.method_ids():
    need = jobs.resources(PLAN, method_id)

    rule:
        name:
            f"fit_{method_id}"
        input:
            cube=RUN.cube(method_id),
            plugin=jobs.sources(PLAN, method_id),
        output:
            f"{RESULTS}/{{dataset}}/{method_id}/{{variant}}/batch-{{number}}.json",
        log:
            f"{RESULTS}/logs/fit/{{dataset}}.{method_id}.{{variant}}.{{number}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/fit/{{dataset}}.{method_id}.{{variant}}.{{number}}.jsonl"
        conda:
            jobs.environment(PLAN, method_id)
        threads: need["threads"]
        resources:
            **jobs.gpu_resources(PLAN, method_id),
            mem_mb=need["mem_mb"],
            runtime=need["runtime"],
        params:
            job=jobs.fit_job(PLAN, method_id),
        shell:
            "python -m regimebench.fit --job {params.job:q} --cube {input.cube:q} --batch {output:q}"
            " --threads {threads} --limit-minutes {resources.runtime} > {log:q} 2>&1"
