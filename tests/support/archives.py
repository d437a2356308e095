"""A dataset of each project, as archives have it: its folder, its file, and its id."""

CMIP7 = "MIP-DRS7.CMIP7.CMIP.CCCma.CanESM5-1.1pctCO2.r1i1p2f1.glb.mon.pr.tavg-u-hxy-u.g120.v20190429"

REAL = {
    "CMIP5": (
        "/badc/cmip5/data/cmip5/output1/MOHC/HadGEM2-ES/rcp85/mon/atmos/Amon/r1i1p1/v20120928/tas",
        "tas_Amon_HadGEM2-ES_rcp85_r1i1p1_200512-203011.nc",
        "CMIP5.output1.MOHC.HadGEM2-ES.rcp85.r1i1p1.Amon.tas.na.v20120928",
    ),
    "CMIP6": (
        "/badc/cmip6/data/CMIP6/DCPP/MOHC/HadGEM3-GC31-MM/dcppA-hindcast/s2004-r3i1p1f2/Amon/pr/gn/v20200417",
        "pr_Amon_HadGEM3-GC31-MM_dcppA-hindcast_s2004-r3i1p1f2_gn_200411-200412.nc",
        "CMIP6.DCPP.MOHC.HadGEM3-GC31-MM.dcppA-hindcast.s2004-r3i1p1f2.Amon.pr.gn.v20200417",
    ),
    "CMIP6Plus": (
        "/data/CMIP6Plus/LESFMIP/MOHC/HadGEM3-GC31-LL/hist-aer/r1i1p1f3/APmon/tas/gn/v20240101",
        "tas_APmon_HadGEM3-GC31-LL_hist-aer_r1i1p1f3_gn_185001-202112.nc",
        "CMIP6Plus.LESFMIP.MOHC.HadGEM3-GC31-LL.hist-aer.r1i1p1f3.APmon.tas.gn.v20240101",
    ),
    "CMIP7": (
        "/data/" + CMIP7.replace(".", "/"),
        "pr_tavg-u-hxy-u_mon_glb_g120_CanESM5-1_1pctCO2_r1i1p2f1_185001-190012.nc",
        CMIP7,
    ),
    "CORDEX": (
        "/data/cordex/output/EUR-11/MPI-CSC/MPI-M-MPI-ESM-LR/rcp85/r1i1p1/MPI-CSC-REMO2009/v1/day/tas/v20160525",
        "tas_EUR-11_MPI-M-MPI-ESM-LR_rcp85_r1i1p1_MPI-CSC-REMO2009_v1_day_20060101-20101231.nc",
        "cordex.output.EUR-11.MPI-CSC.MPI-M-MPI-ESM-LR.rcp85.r1i1p1.REMO2009.v1.day.tas.v20160525",
    ),
    "CORDEX-CMIP6": (
        "/data/CORDEX-CMIP6/DD/AUS-15/BOM/ACCESS-CM2/historical/r4i1p1f1/BARPA-R/v1-r1/mon/tas/v20231001",
        "tas_AUS-15_ACCESS-CM2_historical_r4i1p1f1_BOM_BARPA-R_v1-r1_mon_196001-196012.nc",
        "CORDEX-CMIP6.DD.AUS-15.BOM.ACCESS-CM2.historical.r4i1p1f1.BARPA-R.v1-r1.mon.tas.v20231001",
    ),
    "obs4MIPs": (
        "/data/obs4MIPs/NASA-JPL/AIRS-2-1/mon/ta/gn/v20201110",
        "ta_mon_AIRS-2-1_BE_gn_200209-201609.nc",
        "obs4MIPs.NASA-JPL.AIRS-2-1.mon.ta.gn.v20201110",
    ),
    "input4MIPs": (
        "/data/input4MIPs/CMIP7/CMIP/CR/CR-CMIP-1-0-0/atmos/mon/co2/gm/v20250228",
        "co2_input4MIPs_GHGConcentrations_CMIP_CR-CMIP-1-0-0_gm_175001-202212.nc",
        "input4MIPs.CMIP7.CMIP.CR.CR-CMIP-1-0-0.atmos.mon.co2.gm.v20250228",
    ),
}
"""{project: (folder, name of a file, id)}."""
