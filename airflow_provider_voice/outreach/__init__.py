"""Campaigns that survive a crash without ringing anybody twice: ledger, contacts, plan, pacing, redial and the loop."""
